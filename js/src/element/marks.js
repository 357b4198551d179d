/** The number where nobody looks at the page: in its title, as a dot on its icon, on the installed app. */

import { load } from "./load.js";

export class Marks {
  #text = "";
  #kinds;
  // The page may give itself another title.
  #observer = new MutationObserver(() => this.#title());

  /** @param {string} kinds some of `title`, `favicon`, `app` */
  constructor(kinds) {
    this.#kinds = kinds;
    this.#observer.observe(document.head, { childList: true, subtree: true });
  }

  /**
   * @param {number} count
   * @param {string} text the same, as the bell shows it
   */
  show(count, text) {
    const shown = count ? text : "";
    if (shown === this.#text) return;
    this.#text = shown;
    this.#title();
    // Not every browser has it, and it is for installed pages.
    if (this.#kinds.includes("app")) navigator.setAppBadge?.(count).catch(() => {});
    if (this.#kinds.includes("favicon")) load().then(({ dot }) => dot(!!shown), () => {});
  }

  end() {
    this.show(0, "");
    this.#observer.disconnect();
  }

  #title() {
    const title = (this.#text && `(${this.#text}) `) + document.title.replace(/^\([\d,.]+\+?\) /, "");
    if (this.#kinds.includes("title") && title !== document.title) document.title = title;
  }
}
