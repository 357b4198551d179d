/** What somebody wants to hear of: categories and by what, when not, and in this browser a sound and the desktop. */

import { h, icon, isMuted, isOn } from "../parts.js";
import { LOCK } from "./icons.js";
import { hourFrom, morningFrom } from "./snooze.js";
import { beep } from "./sound.js";

/** @typedef {import("../session.js").Wanted} Wanted */
/** @typedef {import("../render.js").Child} Child */

const KEYS = [["↑ ↓", "Next or previous"], ["Enter", "Open"], ["U", "Mark as read"], ["E", "Archive"], ["S", "Snooze"], ["Shift A", "Mark all as read"]];
const NIGHT = { start: "22:00", end: "08:00" };

/** @param {string[]} names @param {string} name @param {boolean} there */
const put = (names, name, there) => [...names.filter((one) => one !== name), ...(there ? [name] : [])];

const zoneHere = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

/** When a mute ends that begins now. @param {string} span */
const endOf = (span) => (span === "tomorrow" ? morningFrom(new Date(), 1) : hourFrom(new Date())).toISOString();

export class Preferences {
  /** That there are, as far as is known. */
  categories = new Set(["general"]);
  /** What is shown, before it is answered. @type {Wanted} */
  #wanted = { muted: { categories: [], topics: [], couriers: {}, until: {} }, quiet: null, couriers: [], categories: [], locked: [], timezone: "" };
  /** What the server said last. */
  #known = this.#wanted;
  /** Changes that are not answered yet go one after the other. @type {Promise<unknown>} */
  #last = Promise.resolve();
  #pending = 0;
  #of;

  /** @param {import("../element.js").RedDotElement} of */
  constructor(of) {
    this.#of = of;
  }

  view() {
    const { say } = this.#of;
    const { couriers } = this.#wanted;
    return [
      this.#table(),
      couriers.length > 0 && this.#hours(),
      h("hr"),
      this.#choice("alert", say("Play a sound"), isOn("sound"), "sound"),
      this.#choice("alert", say("Show on the desktop"), isOn("desktop"), "desktop"),
      h("h3", "", {}, say("Keyboard shortcuts")),
      h("dl", "", {}, KEYS.map(([key, text]) => [h("dt", "", {}, h("kbd", "", {}, key)), h("dd", "", {}, say(text))])),
    ];
  }

  /** @type {(deed: string, text: string, on: boolean, of?: string) => Child} a line with a switch */
  #choice(deed, text, on, of) {
    return h("button", "switch", { key: `${deed} ${of}`, role: "switch", "aria-checked": `${on}`, do: deed, "data-of": of }, text, h("i"));
  }

  #table() {
    const { say } = this.#of;
    const { muted, categories, couriers, locked } = this.#wanted;
    const rows = new Set([...this.categories, ...categories, ...muted.categories, ...Object.values(muted.couriers).flat()]);
    /** @type {(one: string) => Child} */
    const row = (one) => {
      const fixed = locked.includes(one);
      const on = !isMuted(this.#wanted, one);
      /** @type {(name: string, checked: boolean, by?: string) => Child} */
      const cell = (name, checked, by) =>
        h("td", "", {}, h("button", "switch", { role: "switch", "aria-checked": `${checked}`, "aria-label": name, do: "mute", "data-of": one, "data-by": by, disabled: (fixed || (by && !on)) && "" }, h("i")));
      return h(
        "tr",
        "",
        { key: one },
        h("th", "", { scope: "row" }, fixed && icon(LOCK), h("span", "", { dir: "auto" }, one), fixed ? h("small", "", {}, say("Cannot be turned off")) : this.#spans(one)),
        cell(say("{category} in the inbox", { category: one }), on),
        couriers.map((by) => cell(say("{category} by {courier}", { category: one, courier: say(by) }), on && !muted.couriers[by]?.includes(one), by)),
      );
    };
    const head = [say("Category"), say("Inbox"), ...couriers.map((one) => say(one))];
    return h(
      "div",
      "matrix",
      { key: "matrix" },
      h("table", "", {}, h("thead", "", {}, h("tr", "", {}, head.map((text) => h("th", "", { scope: "col" }, text)))), h("tbody", "", {}, [...rows].sort().map(row))),
    );
  }

  /** For how long a category is muted. @param {string} category */
  #spans(category) {
    const { say, locale } = this.#of;
    const { until } = this.#wanted.muted;
    const end = new Date(until[category]);
    const day = end.toDateString() === new Date().toDateString() ? undefined : /** @type {const} */ ("short");
    const time = until[category] && end.toLocaleString(locale, { weekday: day, hour: "numeric", minute: "2-digit" });
    const now = !isMuted(this.#wanted, category) ? say("Mute for…") : time ? say("Until {time}", { time }) : say("Muted");
    const spans = [["hour", "1 hour"], ["tomorrow", "Until tomorrow"], ["ever", "Until I turn it on"]];
    return h(
      "select",
      "span",
      { "aria-label": say("Mute {category}", { category }), "data-of": category, change: "span" },
      h("option", "", { value: "" }, now),
      spans.map(([value, text]) => h("option", "", { value }, say(text))),
    );
  }

  #hours() {
    const { say } = this.#of;
    const { quiet, timezone } = this.#wanted;
    /** @type {(edge: "start" | "end", text: string) => Child} */
    const time = (edge, text) => h("label", "", {}, text, h("input", "", { type: "time", required: "", value: quiet?.[edge], "data-edge": edge, change: "hours" }));
    return h(
      "div",
      "hours",
      { key: "hours", role: "group", "aria-label": say("Quiet hours") },
      this.#choice("quiet", say("Quiet hours"), !!quiet),
      quiet && h("p", "", {}, time("start", say("From")), time("end", say("To"))),
      h(
        "small",
        "",
        {},
        say("Nothing is sent to you in these hours ({timezone}), unless it is urgent.", { timezone }),
        // Nobody's clock is set by itself: somebody may be away from home, or their browser not say where.
        timezone !== zoneHere() && h("button", "action", { do: "zone" }, say("Use {timezone}", { timezone: zoneHere() })),
      ),
    );
  }

  /** Learn what is wanted. */
  async load() {
    const known = await this.#of.session?.preferences();
    if (known && !this.#pending) this.#hear((this.#known = known));
  }

  /**
   * Mute a category, altogether or by a courier, or no longer.
   *
   * @param {string} category
   * @param {string} [by] the courier
   */
  mute(category, by) {
    const { muted } = this.#wanted;
    if (!by) return this.#span(category, isMuted(this.#wanted, category) ? undefined : "ever");
    const names = muted.couriers[by] ?? [];
    return this.#change({ muted: { ...muted, couriers: { ...muted.couriers, [by]: put(names, category, !names.includes(category)) } } });
  }

  /** Mute for as long as was chosen. @param {HTMLSelectElement} select */
  span(select) {
    const { value, dataset } = select;
    // It says what holds, and not what was chosen.
    select.selectedIndex = 0;
    return this.#span(`${dataset.of}`, value);
  }

  /** @type {(category: string, span?: string) => Promise<unknown>} no span: not muted */
  #span(category, span) {
    const { muted } = this.#wanted;
    const { [category]: _, ...until } = muted.until;
    if (span && span !== "ever") until[category] = endOf(span);
    return this.#change({ muted: { ...muted, categories: put(muted.categories, category, !!span), until } });
  }

  /** Quiet hours, or none. */
  quiet() {
    return this.#change({ quiet: this.#wanted.quiet ? null : NIGHT });
  }

  /** Mean the hours by the clock of this browser. */
  zone() {
    return this.#change({ timezone: zoneHere() });
  }

  /** @param {HTMLInputElement} input */
  async hours({ value, dataset }) {
    // Not while it is being typed.
    if (value) await this.#change({ quiet: { ...(this.#wanted.quiet ?? NIGHT), [`${dataset.edge}`]: value } });
  }

  /** Shown at once, and taken back if it fails. @param {Partial<Wanted>} change */
  #change(change) {
    const wanted = { ...this.#wanted, ...change };
    this.#hear(wanted);
    this.#pending += 1;
    const done = this.#last
      // What is shown as a time zone may be the operator's word, which is not theirs to repeat.
      .then(() => this.#of.session?.prefer({ ...wanted, timezone: change.timezone }))
      .then((known) => known && (this.#known = known))
      .finally(() => {
        this.#pending -= 1;
        if (!this.#pending) this.#hear(this.#known);
      });
    this.#last = done.catch(() => {});
    return done;
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

  /** @param {Wanted} wanted */
  #hear(wanted) {
    this.#wanted = wanted;
    for (const one of wanted.muted.categories) this.categories.add(one);
    this.#of.paintNow();
    // What somebody has typed is theirs, whatever the attribute says.
    for (const input of /** @type {NodeListOf<HTMLInputElement>} */ (/** @type {ShadowRoot} */ (this.#of.shadowRoot).querySelectorAll("[type=time]"))) {
      if (input.value !== input.defaultValue) input.value = input.defaultValue;
    }
  }
}
