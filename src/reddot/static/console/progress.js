/** How far a campaign has come: from what the server counts to a bar and to lines over time. */

import { el, setText } from "./dom.js";
import { count } from "./format.js";

const MINUTE_MS = 60_000;
const STEPS_MAX = 300;
/** In the order of the bar. What `folded` went out, in a digest. */
export const PARTS = [
  ["sent", "Sent"],
  ["folded", "In a digest"],
  ["skipped", "Not sent"],
  ["cancelled", "Cancelled"],
  ["dead", "Failed"],
  ["held", "Held"],
];

/** Over all couriers. @param {Record<string, Record<string, number>>} totals by courier */
export function sum(totals) {
  const all = { made: 0, open: 0, clicked: 0, ...Object.fromEntries(PARTS.map(([name]) => [name, 0])) };
  for (const one of Object.values(totals)) for (const [name, n] of Object.entries(one)) all[name] += n;
  return all;
}

/** Done of all, and what it came to, as a bar and for whoever does not see it. */
export class Bar {
  constructor(label) {
    this.label = label;
    this.parts = PARTS.map(([name]) => el("b", { class: `is-${name}` }));
    this.bar = el("i", { class: "stack-bar", role: "img" }, ...this.parts);
    this.text = el("span", { class: "soft" });
    this.element = el("span", { class: "progress" }, this.bar, this.text);
  }

  show(all) {
    const share = (n) => (all.made ? Math.max(0, n) / all.made : 0);
    PARTS.forEach(([name], i) => this.parts[i].style.setProperty("width", `${share(all[name] ?? 0) * 100}%`));
    const said = PARTS.filter(([name]) => all[name]).map(([name, word]) => `${word.toLowerCase()} ${count(all[name])}`);
    const done = all.made - all.open;
    setText(this.text, all.made ? `${count(done)} of ${count(all.made)}` : "none yet");
    this.bar.setAttribute("aria-label", `${this.label}: ${[this.text.textContent, ...said].join(", ")}`);
  }
}

/**
 * Sums by the end of each minute, for `Lines`; of long campaigns, of several minutes together.
 * @param {{time: string, state: string, count: number}[]} minutes
 * @returns {Record<string, [number, number][]>} all with the same times
 */
export function curves(minutes, nowMs) {
  const times = minutes.map(({ time }) => Date.parse(time));
  const [first, last] = times.reduce(([low, high], at) => [Math.min(low, at), Math.max(high, at)], [Infinity, 0]);
  const step = MINUTE_MS * Math.max(1, Math.ceil((last - first) / MINUTE_MS / STEPS_MAX));
  const steps = new Map();
  minutes.forEach(({ state, count: n }, i) => {
    const at = times[i] - ((times[i] - first) % step);
    const found = steps.get(at) ?? {};
    found[state] = (found[state] ?? 0) + n;
    steps.set(at, found);
  });
  const lines = Object.fromEntries(["made", ...PARTS.map(([name]) => name)].map((name) => [name, []]));
  const sums = Object.fromEntries(Object.keys(lines).map((name) => [name, 0]));
  for (const at of [...steps.keys()].sort((a, b) => a - b)) {
    for (const [name, line] of Object.entries(lines)) {
      line.push([at, sums[name]]);
      sums[name] += steps.get(at)[name] ?? 0;
      line.push([Math.max(at, Math.min(at + step, nowMs)), sums[name]]);
    }
  }
  return lines;
}
