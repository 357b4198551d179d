/** A plot of several lines over a span of time: its legend says what each is where one points. */

import { el, setText, svg } from "./dom.js";
import { count, stamp } from "./format.js";

const WIDTH = 600;
const HEIGHT = 150;
const SPAN_MS_MIN = 60_000;

export class Lines {
  /**
   * @param {{title: string, series: [string, string][]}} options a name, which is also its look
   *   (`is-…`), and what it is called
   */
  constructor({ title, series }) {
    this.title = title;
    this.points = {};
    this.pointed = null;
    this.span = [0, SPAN_MS_MIN];
    this.series = series.map(([name, label]) => ({
      name,
      label,
      path: svg("path", { class: `line-path is-${name}` }),
      value: el("strong", {}, "–"),
    }));
    this.mark = svg("line", { class: "plot-mark", y1: 0, y2: HEIGHT, visibility: "hidden" });
    this.drawing = svg(
      "svg",
      { class: "plot lines-plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
      ...this.series.map(({ path }) => path),
      this.mark,
    );
    this.top = el("span", { class: "plot-top" });
    [this.from, this.to] = [el("span"), el("span")];
    this.element = el(
      "div",
      { class: "lines" },
      el("ul", { class: "legend" }, ...this.series.map(({ name, label, value }) =>
        el("li", {}, el("i", { class: `swatch is-${name}`, "aria-hidden": true }), label, value))),
      el("div", { class: "plot-box" }, this.drawing, this.top),
      el("p", { class: "plot-ends", "aria-hidden": true }, this.from, this.to),
    );
    this.drawing.addEventListener("pointermove", (event) => this.#point(event));
    this.drawing.addEventListener("pointerleave", () => this.#point(null));
  }

  /**
   * @param {Record<string, [number, number][]>} points by series: when, in milliseconds, and how
   *   many, in order
   * @param {number} to when the plot ends
   */
  draw(points, to) {
    this.points = points;
    const all = Object.values(points).flat();
    const from = all.reduce((least, [at]) => Math.min(least, at), to);
    this.span = [from, Math.max(to, from + SPAN_MS_MIN)];
    const most = all.reduce((found, [, value]) => Math.max(found, value), 1);
    for (const { name, path } of this.series) {
      const counted = points[name] ?? [];
      // What never was is not drawn: many lines at nothing would cover each other.
      const line = counted.some(([, value]) => value) ? counted : [];
      path.setAttribute("d", this.#path(line, most));
    }
    setText(this.top, count(most));
    setText(this.from, stamp(from));
    setText(this.to, stamp(this.span[1]));
    const said = this.series.map(({ name, label }) => `${label} ${count(points[name]?.at(-1)?.[1] ?? 0)}`);
    this.drawing.setAttribute("aria-label", `${this.title}, from ${stamp(from)}: ${said.join(", ")}`);
    this.#show();
  }

  #path(line, most) {
    if (line.length < 2) return "";
    const [from, to] = this.span;
    const places = line.map(([at, value]) => {
      const x = ((at - from) / (to - from)) * WIDTH;
      return `${x.toFixed(1)} ${(HEIGHT - 2 - (value / most) * (HEIGHT - 8)).toFixed(1)}`;
    });
    return `M${places.join("L")}`;
  }

  #point(event) {
    const box = this.drawing.getBoundingClientRect();
    this.pointed = event && Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    this.#show();
  }

  #show() {
    const [from, to] = this.span;
    const at = this.pointed === null ? to : from + this.pointed * (to - from);
    for (const { name, value } of this.series) setText(value, count(valueAt(this.points[name] ?? [], at)));
    const x = (this.pointed ?? 0) * WIDTH;
    this.mark.setAttribute("x1", x);
    this.mark.setAttribute("x2", x);
    this.mark.setAttribute("visibility", this.pointed === null ? "hidden" : "visible");
  }
}

/** The last value that was known then. */
function valueAt(line, at) {
  return line.findLast(([time]) => time <= at)?.[1] ?? 0;
}
