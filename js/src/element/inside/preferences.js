/** What somebody wants to hear of: categories, and in this browser a sound and the desktop. */

import { h, isOn } from "../parts.js";
import { beep } from "./sound.js";

/** @typedef {import("../session.js").Muted} Muted */

const KEYS = [["↑ ↓", "Next or previous"], ["Enter", "Open"], ["U", "Mark as read"], ["E", "Archive"], ["Shift A", "Mark all as read"]];

export class Preferences {
  /** That there are, as far as is known. */
  categories = new Set(["general"]);
  /** @type {Muted} */
  #muted = { categories: [], topics: [] };
  #of;

  /** @param {import("../element.js").RedDotElement} of */
  constructor(of) {
    this.#of = of;
  }

  view() {
    const { say } = this.#of;
    /** @type {(deed: string, of: string, text: string, on: boolean) => import("../render.js").Child} */
    const choice = (deed, of, text, on) => h("button", "switch", { key: deed + of, role: "switch", "aria-checked": `${on}`, do: deed, "data-of": of }, text, h("i"));
    return [
      [...this.categories].sort().map((one) => choice("mute", one, one, !this.#muted.categories.includes(one))),
      h("hr"),
      choice("alert", "sound", say("Play a sound"), isOn("sound")),
      choice("alert", "desktop", say("Show on the desktop"), isOn("desktop")),
      h("h3", "", {}, say("Keyboard shortcuts")),
      h("dl", "", {}, KEYS.map(([key, text]) => [h("dt", "", {}, h("kbd", "", {}, key)), h("dd", "", {}, say(text))])),
    ];
  }

  /** Learn what is muted. */
  async load() {
    const muted = await this.#of.session?.muted();
    if (muted) this.#hear(muted);
  }

  /** Mute a category, or no longer; shown at once, and taken back if it fails. @param {string} category */
  async mute(category) {
    const before = this.#muted;
    const { categories, topics } = before;
    const others = categories.filter((one) => one !== category);
    this.#hear({ categories: others.length < categories.length ? others : [...others, category], topics });
    try {
      await this.#of.session?.mute(this.#muted);
    } catch (error) {
      this.#hear(before);
      throw error;
    }
  }

  /** Switch an alert on or off, in this browser. @param {import("../session.js").Alert} name */
  async alert(name) {
    const on = !isOn(name);
    // Heard at once: the browser allows it from the first click on.
    if (on && name === "sound") beep();
    if (on && name === "desktop" && (await globalThis.Notification?.requestPermission()) !== "granted") return;
    localStorage[`reddot ${name}`] = on ? 1 : "";
    this.#of.paint();
  }

  /** @param {Muted} muted */
  #hear(muted) {
    this.#muted = muted;
    for (const one of muted.categories) this.categories.add(one);
    this.#of.paint();
  }
}
