/** Leafing through a list that the server gives out in pages, newest first. */

import { el } from "./dom.js";
import { button } from "./parts.js";

export class Pages {
  /** @param {() => Promise<void>} refresh asks for the page at `place` */
  constructor(refresh) {
    this.refresh = refresh;
    this.places = [""];
    this.next = null;
    this.newer = button("Newer", () => this.#turn(this.places.slice(0, -1)), { hidden: true });
    this.older = button("Older", () => this.#turn([...this.places, this.next]), { hidden: true });
    this.element = el("div", { class: "buttons pages" }, this.newer, this.older);
  }

  /** What goes into `before`. */
  get place() {
    return this.places.at(-1);
  }

  /** Back to the newest, without asking. */
  reset() {
    this.places = [""];
  }

  /** @param {string | null} next of the page that is shown now */
  show(next) {
    this.next = next;
    this.older.hidden = !next;
    this.newer.hidden = this.places.length === 1;
  }

  #turn(places) {
    this.places = places;
    return this.refresh();
  }
}
