/** `<red-dot-inbox>`: the list of notifications, in the panel of a bell or as a page of its own. */

import { RedDotElement } from "./element.js";
import { load } from "./load.js";
import { CLOSE, tool, waiting } from "./notice.js";
import { h } from "./render.js";

/** @typedef {import("./session.js").Session} Session */

export class RedDotInbox extends RedDotElement {
  /** What it shows and does, once that is loaded. @type {import("./inside/index.js").Inside | undefined} */
  #inside;
  #failed = false;

  /** @type {RedDotElement["deeds"]} */
  deeds = {
    retry: () => this.#load(),
    close: () => this.host?.deeds.close(this, new Event("close")),
  };

  /** @param {Session} session */
  joined(session) {
    if (this.#inside) return this.#inside.joined(session);
    this.ends.push(session.client.on("state", (state) => state === "live" && this.#failed && this.#load()));
    void this.#load();
  }

  /** Go to the row where somebody was, or to the heading. */
  focus() {
    this.paintNow();
    if (this.#inside) this.#inside.focus();
    else this.find("h2")?.focus();
  }

  paintNow() {
    super.paintNow();
    this.#inside?.painted();
  }

  /** Until it is loaded: what will be there, with the same keys. @param {Session} session */
  view(session) {
    const { say } = this;
    return (
      this.#inside?.view(session) ?? [
        h("slot", "", { name: "header" }, h("header", "header", {}, h("h2", "heading", { key: "h2", tabindex: -1 }, say("Notifications")), this.host && tool(CLOSE, say("Close"), "close"))),
        h("div", "list", { key: "list" }, waiting(say, this.#failed)),
      ]
    );
  }

  async #load() {
    this.#failed = false;
    this.paint();
    const loaded = await load().catch(() => undefined);
    if (this.#inside) return;
    this.#failed = !loaded;
    if (loaded) {
      this.#inside = new loaded.Inside(this);
      this.deeds = this.#inside.deeds;
      if (this.session) this.#inside.joined(this.session);
    }
    this.paint();
  }
}
