/**
 * Something of the server that is shown: while it comes, when it is there, when it cannot be had,
 * and when what is shown is not what holds any more.
 */

import { el, setText } from "./dom.js";

const SLOW_MS = 200;

export class Watch {
  /**
   * @param {{content: HTMLElement, load: () => Promise<any>, show: (data: any) => void}} options
   */
  constructor({ content, load, show }) {
    this.content = content;
    this.load = load;
    this.show = show;
    this.loaded = false;
    this.turn = 0;
    this.asking = 0;
    this.waiting = el("p", { class: "empty", hidden: true }, "Loading …");
    this.reason = el("span", {}, "");
    this.fault = el(
      "div",
      { class: "message bad", role: "alert", hidden: true },
      this.reason,
      el("button", { type: "button", class: "button small", on: { click: () => this.refresh() } }, "Try again"),
    );
    content.hidden = true;
    this.element = el("div", { class: "watch" }, this.fault, this.waiting, content);
  }

  /** The same now and then: not while the last question is still open. */
  async poll() {
    if (!this.asking) await this.refresh();
  }

  /** Ask, and show; of several at once only the last one is shown. */
  async refresh() {
    const turn = ++this.turn;
    this.asking += 1;
    const slow = setTimeout(() => (this.waiting.hidden = this.loaded), SLOW_MS);
    try {
      const data = await this.load();
      if (turn !== this.turn) return;
      this.show(data);
      this.loaded = true;
      this.content.hidden = false;
      this.fault.hidden = true;
      delete this.content.dataset.stale;
    } catch (error) {
      if (turn === this.turn) this.#fail(error);
    } finally {
      this.asking -= 1;
      clearTimeout(slow);
      if (turn === this.turn) this.waiting.hidden = true;
    }
  }

  #fail(error) {
    const below = this.loaded ? " What is shown below is not up to date." : "";
    setText(this.reason, `${error.message}${below}`);
    this.fault.hidden = false;
    if (this.loaded) this.content.dataset.stale = "";
  }
}
