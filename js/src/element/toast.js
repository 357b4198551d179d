/** `<red-dot-toast>`: what has just come, for a moment, in one tab of the browser. */

import { RedDotElement } from "./element.js";
import { load } from "./load.js";
import { h } from "./render.js";

/** @typedef {import("./session.js").Notice} Notice */

const TOASTS_MAX = 3;

export class RedDotToast extends RedDotElement {
  /** Newest last. @type {Notice[]} */
  #toasts = [];
  #said = "";
  /** How they look, and what a click on one does, once that is loaded; what is due waits for it. @type {typeof import("./inside/index.js") | undefined} */
  #inside;

  deeds = {
    /** @type {(target: HTMLElement, event: Event) => void} */
    open: (target, event) => {
      const notice = this.#of(target);
      this.#inside?.choose(this, notice, target, event);
      this.session?.client.inbox.mark(notice.id, "read").catch(() => {});
      this.#drop(notice.id);
    },
    /** @param {Element} target */
    close: (target) => this.#drop(this.#of(target).id),
  };

  constructor() {
    super();
    // How long it stays says the style sheet: its time stands still under somebody's hand.
    this.shadowRoot?.addEventListener("animationend", ({ target }) => this.deeds.close(/** @type {any} */ (target)));
    this.addEventListener("keydown", ({ key }) => key === "Escape" && this.#drop(this.#toasts.at(-1)?.id));
  }

  /** @param {import("./session.js").Session} session */
  joined(session) {
    const speaks = (session.speaker ??= this) === this;
    this.ends.push(
      session.on("notice", async (/** @type {Notice} */ notice) => {
        // Who has the list before them needs no toast.
        if (document.querySelector("red-dot-inbox") || session.looked) return;
        if (!(await session.first(`toast ${notice.id}`))) return;
        this.#toasts = [...this.#toasts, notice].slice(-TOASTS_MAX);
        if (speaks) this.#said = notice.data.title;
        this.paint();
        void this.#load();
      }),
      session.on("retracted", (id) => this.#drop(id)),
      session.on("live", () => this.#toasts.length && this.#load()),
      () => {
        this.#toasts = [];
        if (speaks) session.speaker = undefined;
      },
    );
  }

  view() {
    return [
      h("span", "aloud", { role: "status" }, this.#said),
      this.#toasts.length > 0 && this.#inside?.toasts(this, this.#toasts),
    ];
  }

  /** If that fails, it is tried again with the next one, and when the connection is back. */
  async #load() {
    this.#inside ??= await load().catch(() => undefined);
    this.paint();
  }

  /** @param {Element} target */
  #of(target) {
    const { id } = /** @type {HTMLElement} */ (target.closest("[data-id]")).dataset;
    return /** @type {Notice} */ (this.#toasts.find((one) => one.id === id));
  }

  /** @param {string | undefined} id */
  #drop(id) {
    this.#toasts = this.#toasts.filter((one) => one.id !== id);
    this.paint();
  }
}
