/** `<red-dot>`: a bell with a badge, and a panel with the inbox. */

import { prepare, RedDotElement } from "./element.js";
import { Marks } from "./marks.js";
import { BELL, icon } from "./pieces.js";
import { h } from "./render.js";

/** @typedef {import("./session.js").Session} Session */

/** How long what comes is collected before it is said aloud. */
const SAY_MS = 2_000;
const SLOTS = ["header", "empty", "footer"];

export class RedDot extends RedDotElement {
  #open = false;
  /** @type {Marks | undefined} */
  #marks;
  /** The number that was shown last, and how often it has risen. */
  #count = 0;
  #rises = 0;
  /** What is said aloud: when there is time, and at once. */
  #status = "";
  #alert = "";
  #arrived = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  // A browser without popovers shows the panel in its place on the page.
  deeds = {
    toggle: () => {
      if ("showPopover" in this.#panel) return;
      this.#turn(!this.#open);
      this.#settle();
    },
    close: () => this.hide(),
  };

  constructor() {
    super();
    this.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.hide();
      if (event.key !== "ArrowDown" || this.#open) return;
      event.preventDefault();
      this.show();
    });
    this.addEventListener("focusout", ({ relatedTarget }) => {
      if (relatedTarget && !this.contains(/** @type {Node} */ (relatedTarget))) this.hide();
    });
    // Who comes near may open it: it is to be there by then.
    for (const near of ["pointerenter", "focusin"]) this.addEventListener(near, prepare);
    this.shadowRoot?.addEventListener("beforetoggle", (event) => this.#turn(/** @type {ToggleEvent} */ (event).newState === "open"), true);
    this.shadowRoot?.addEventListener("toggle", () => this.#settle(), true);
  }

  /** The number of the badge. */
  get count() {
    const badge = this.session?.badge;
    return (this.getAttribute("badge") === "unseen" ? badge?.unseen : badge?.unread) ?? 0;
  }

  get unseen() {
    return this.session?.badge?.unseen ?? 0;
  }

  get connected() {
    return !!this.session?.live;
  }

  /** Name of the transport in use. */
  get transport() {
    return this.session?.client.transport;
  }

  get open() {
    return this.#open;
  }

  /** @param {Session} session */
  joined(session) {
    // Of several bells on a page one speaks, and owns the page's title.
    const speaks = (session.speaker ??= this) === this;
    const marks = (this.#marks = speaks ? new Marks(this.getAttribute("marks") ?? "title favicon app") : undefined);
    const { client } = session;
    this.ends.push(
      session.on("notice", (notice) => this.#hear(notice, speaks)),
      client.inbox.on("badge", (badge) => this.tell("count", { ...badge, count: this.count })),
      client.on("state", (state) => this.tell("state", { state, transport: client.transport, reason: client.reason })),
      () => {
        this.hide();
        clearTimeout(this.#timer);
        marks?.end();
        if (speaks) session.speaker = undefined;
      },
    );
  }

  /** Open the panel, and go there. */
  show() {
    if (!this.#open) this.#panel.showPopover ? this.#panel.showPopover() : this.deeds.toggle();
  }

  /** Close it. */
  hide() {
    if (this.#open) this.#panel.hidePopover ? this.#panel.hidePopover() : this.deeds.toggle();
  }

  /** The panel is about to open or to close. @param {boolean} open */
  #turn(open) {
    if (!this.session) return;
    this.#open = this.session.looked = open;
    this.paintNow();
    this.tell("open", { open });
  }

  /** The panel has opened or closed: go there, or back to the bell if there is nowhere else to be. */
  #settle() {
    if (this.#open) this.find("red-dot-inbox")?.focus();
    else if (document.activeElement === document.body) this.find(".bell")?.focus();
  }

  /** @param {Session} session */
  view({ stale }) {
    const { count, say } = this;
    const kind = this.getAttribute("badge") ?? "unread";
    const max = Number(this.getAttribute("max") ?? 99);
    const text = Math.min(count, max).toLocaleString(this.locale) + (count > max ? "+" : "");
    if (count > this.#count) this.#rises += 1;
    this.#count = count;
    this.#marks?.show(count, text);
    const name = [say("Notifications"), count && say(kind === "unseen" ? "{n} new" : "{n} unread", { n: count }), stale && say("No connection")];
    const label = name.filter(Boolean).join(", ");
    return [
      h(
        "button",
        stale ? "bell stale" : "bell",
        { do: "toggle", popovertarget: "panel", "aria-label": label, "aria-haspopup": "dialog", "aria-expanded": `${this.#open}`, "aria-controls": "panel" },
        h("slot", "", { name: "icon" }, icon(BELL)),
        count > 0 && h("span", kind === "dot" ? "badge dot" : "badge", { key: this.#rises, "aria-hidden": "true" }, kind !== "dot" && text),
      ),
      h("span", "aloud", { role: "status" }, this.#status),
      h("span", "aloud", { role: "alert" }, this.#alert),
      h(
        "div",
        this.#open ? "panel open" : "panel",
        { id: "panel", role: "dialog", "aria-label": say("Notifications"), popover: "auto" },
        this.#open && h("red-dot-inbox", "", { host: this }, SLOTS.map((name) => this.querySelector(`[slot=${name}]`) && h("slot", "", { name, slot: name }))),
      ),
    ];
  }

  get #panel() {
    return /** @type {HTMLElement} */ (this.find(".panel"));
  }

  /**
   * @param {import("./session.js").Notice} notice
   * @param {boolean} speaks
   */
  #hear(notice, speaks) {
    this.tell("message", notice);
    if (!speaks || (this.#open && this.matches(":focus-within"))) return;
    if (notice.data.priority === "urgent") {
      this.#alert = `${this.say("Urgent")}: ${notice.data.title}`;
      this.paint();
      return;
    }
    this.#arrived += 1;
    this.#timer ??= setTimeout(() => {
      this.#status = this.say("{n} new notifications", { n: this.#arrived });
      this.#arrived = 0;
      this.#timer = undefined;
      this.paint();
    }, SAY_MS);
  }
}
