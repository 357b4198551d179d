/** `<red-dot-inbox>`: the list of notifications, in the panel of a bell or as a page of its own. */

import { RedDotElement } from "./element.js";
import { load } from "./load.js";
import { header, waiting } from "./pieces.js";
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
    this.ends.push(session.on("live", () => this.#failed && this.#load()));
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
    return this.#inside?.view(session) ?? [header(this, "Notifications"), h("div", "list", { key: "list" }, waiting(this.say, this.#failed))];
  }

  async #load() {
    this.#failed = false;
    this.paint();
    const loaded = await load().catch(() => undefined);
    if (this.#inside) return;
    this.#failed = !loaded;
    if (loaded) {
      this.#inside = new loaded.Inside(this);
      Object.assign(this.deeds, this.#inside.deeds);
      if (this.session) this.#inside.joined(this.session);
    }
    this.paint();
  }
}
