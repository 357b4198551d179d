/** What the three elements have in common: a session, texts, one style sheet, painting, events. */

import { load } from "./load.js";
import { render } from "./render.js";
import { Session } from "./session.js";
import { sheet } from "./styles.js";
import { langOf, texts } from "./texts.js";

/** @typedef {import("./render.js").Child} Child */
/** @typedef {import("../inbox.js").Item} Item */
/**
 * @typedef {object} Own what a page sets besides attributes
 * @property {import("../reddot.js").Reddot} [client] its own client
 * @property {import("../client.js").Options["token"]} [token] gives a JWT, in place of `token-url`
 * @property {import("./texts.js").Table} [strings] texts in place of ours
 * @property {(item: Item) => Node} [row] what a row shows in place of title and body
 */

const SOURCE = ["server", "token-url", "user"];
const PROPERTIES = /** @type {const} */ (["client", "token", "strings", "row"]);

/** Load what will be shown; if that fails, it is tried again when it is needed. */
export const prepare = () => void load().catch(() => {});

/** On a server there are no elements; the modules can be imported all the same. */
const Element = globalThis.HTMLElement ?? Object;

export class RedDotElement extends Element {
  static observedAttributes = [...SOURCE, "badge", "max", "lang", "debug"];

  /** The bell of which this is a part. @type {RedDotElement | undefined} */
  host;
  /** @type {Session | undefined} */
  session;
  locale = "en";
  /** @type {import("./texts.js").Say} */
  say = String;
  /** What a click on something with the attribute `do` does. @type {Record<string, (target: HTMLElement, event: Event) => unknown>} */
  deeds = {};
  /** What ends when the element leaves the page. @type {(() => void)[]} */
  ends = [];
  /** @type {Own} */
  #own = {};
  #queued = false;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet()];
    root.addEventListener("click", (event) => {
      const target = /** @type {Element} */ (event.target).closest("[do]");
      if (target) this.deeds[String(target.getAttribute("do"))](/** @type {HTMLElement} */ (target), event);
    });
    // A picture that is not there shows what is behind it.
    root.addEventListener("error", ({ target }) => /** @type {Element} */ (target).setAttribute("hidden", ""), true);
    // What a page has set before the element was defined.
    for (const name of PROPERTIES) {
      if (!Object.hasOwn(this, name)) continue;
      Object.assign(this.#own, { [name]: this[name] });
      Reflect.deleteProperty(this, name);
    }
  }

  get client() {
    return this.#own.client;
  }

  set client(client) {
    this.#set({ client });
  }

  get token() {
    return this.#own.token;
  }

  set token(token) {
    this.#set({ token });
  }

  get strings() {
    return this.#own.strings;
  }

  set strings(strings) {
    this.#set({ strings });
  }

  get row() {
    return this.#own.row;
  }

  set row(row) {
    this.#set({ row });
  }

  connectedCallback() {
    // A framework may set properties right after it has inserted the element.
    queueMicrotask(() => {
      if (!this.isConnected || this.session) return;
      this.session = Session.join(this.#source());
      this.ends = [
        this.session.on("change", () => this.paint()),
        this.session.on("renewed", () => {
          this.disconnectedCallback();
          this.connectedCallback();
        }),
      ];
      this.joined(this.session);
      this.paintNow();
      (globalThis.requestIdleCallback ?? setTimeout)(prepare);
    });
  }

  disconnectedCallback() {
    for (const end of this.ends.splice(0)) end();
    this.session?.leave();
    this.session = undefined;
  }

  /**
   * @param {string} name
   * @param {string | null} before
   * @param {string | null} now
   */
  attributeChangedCallback(name, before, now) {
    if (SOURCE.includes(name) && before !== now) this.reconnect();
    this.paint();
  }

  /** Begin again: somebody has signed in, or out. */
  reconnect() {
    this.session?.renew();
  }

  /** Bring what is shown up to date, once for all changes of this turn. */
  paint() {
    if (this.#queued) return;
    this.#queued = true;
    queueMicrotask(() => this.paintNow());
  }

  paintNow() {
    this.#queued = false;
    if (!this.session) return;
    this.locale = this.host?.locale ?? langOf(this);
    this.say = texts(this.locale, this.strings ?? this.host?.strings);
    render(/** @type {ShadowRoot} */ (this.shadowRoot), this.view(this.session));
  }

  /**
   * @param {string} selector
   * @returns {HTMLElement | null}
   */
  find(selector) {
    return /** @type {ShadowRoot} */ (this.shadowRoot).querySelector(selector);
  }

  /**
   * @param {string} name
   * @param {object} detail
   * @returns {boolean} whether the page lets it happen
   */
  tell(name, detail) {
    return this.dispatchEvent(new CustomEvent(`red-dot-${name}`, { detail, bubbles: true, composed: true, cancelable: true }));
  }

  /** Listen to it; into `ends` goes what ends that. @param {Session} _session */
  joined(_session) {}

  /** @param {Session} _session @returns {Child[]} */
  view(_session) {
    return [];
  }

  /** @param {Own} change */
  #set(change) {
    const { client } = this;
    Object.assign(this.#own, change);
    // Another token is asked for when the next is needed.
    if (client !== this.client) this.reconnect();
    this.paint();
  }

  /** This element, or else the bell that the page has. @returns {import("./session.js").Source} */
  #source() {
    if (this.client || this.token || SOURCE.some((name) => this.hasAttribute(name))) return this;
    return this.host ? this.host.#source() : (/** @type {RedDotElement | null} */ (document.querySelector("red-dot")) ?? this);
  }
}
