/** What the three elements have in common: a session, texts, one style sheet, painting, events. */

import { render } from "./render.js";
import { Session } from "./session.js";
import { sheet } from "./styles.js";
import { langOf, texts } from "./texts.js";

/** @typedef {import("./render.js").Child} Child */
/** @typedef {import("../inbox.js").Item} Item */

const SOURCE = ["server", "token-url", "user"];

/** On a server there are no elements; the modules can be imported all the same. */
const Element = globalThis.HTMLElement ?? Object;

export class RedDotElement extends Element {
  static observedAttributes = [...SOURCE, "badge", "max", "lang", "debug"];

  // What a page sets, perhaps before the element is defined.
  /** The page's own client. @type {import("../reddot.js").Reddot | undefined} */
  client = Reflect.get(this, "client");
  /** Gives a JWT, in place of `token-url`. @type {import("../client.js").Options["token"]} */
  token = Reflect.get(this, "token");
  /** Texts in place of ours. @type {import("./texts.js").Table | undefined} */
  strings = Reflect.get(this, "strings");
  /** What a row shows in place of title and body. @type {((item: Item) => Node) | undefined} */
  row = Reflect.get(this, "row");

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

  /** This element, or else the bell that the page has. @returns {import("./session.js").Source} */
  #source() {
    if (this.client || this.token || SOURCE.some((name) => this.hasAttribute(name))) return this;
    return this.host ? this.host.#source() : (/** @type {RedDotElement | null} */ (document.querySelector("red-dot")) ?? this);
  }
}
