/** A small plot of the last minutes: an area, its top, and what it was where one points. */

import { el, setText, svg } from "./dom.js";
import { span } from "./format.js";

const WIDTH = 300;
const POINTS = 300;

export class Plot {
  /**
   * @param {{title: string, unit: string, format: (value: number) => string, height?: number,
   *   bare?: boolean}} options `bare`: a line in a table, without figures
   */
  constructor({ title, unit, format, height = 72, bare = false }) {
    this.title = title;
    this.unit = unit;
    this.format = format;
    this.height = height;
    this.values = [];
    this.pointed = null;
    this.area = svg("path", { class: "plot-area" });
    this.line = svg("path", { class: "plot-line" });
    this.mark = svg("line", { class: "plot-mark", y1: 0, y2: height, visibility: "hidden" });
    this.drawing = svg(
      "svg",
      { class: "plot", viewBox: `0 0 ${WIDTH} ${height}`, preserveAspectRatio: "none", role: "img" },
      this.area, this.line, this.mark,
    );
    if (bare) {
      this.drawing.classList.add("bare");
      this.element = this.drawing;
      return;
    }
    this.figure = el("strong", { class: "tile-figure" }, "–");
    this.when = el("span", { class: "tile-unit" }, unit);
    this.top = el("span", { class: "plot-top" });
    this.element = el(
      "article",
      { class: "tile card" },
      el("h2", {}, title),
      el("p", { class: "tile-now" }, this.figure, this.when),
      el("div", { class: "plot-box" }, this.drawing, this.top),
      el("p", { class: "plot-ends", "aria-hidden": true }, el("span", {}, "5 min ago"), el("span", {}, "now")),
    );
    this.drawing.addEventListener("pointermove", (event) => this.#point(event));
    this.drawing.addEventListener("pointerleave", () => this.#unpoint());
  }

  /** @param {number[]} values oldest first, one a second */
  draw(values) {
    this.values = values;
    const most = Math.max(1, ...values);
    const step = WIDTH / (POINTS - 1);
    const from = POINTS - values.length;
    const points = values.map((value, i) => {
      const x = ((from + i) * step).toFixed(1);
      return `${x} ${(this.height - 2 - (value / most) * (this.height - 6)).toFixed(1)}`;
    });
    const path = points.length > 1 ? `M${points.join("L")}` : "";
    this.line.setAttribute("d", path);
    const start = (from * step).toFixed(1);
    this.area.setAttribute("d", path && `${path}L${WIDTH} ${this.height}L${start} ${this.height}Z`);
    this.drawing.setAttribute("aria-label", this.#described(values));
    if (this.top) setText(this.top, values.length ? this.format(Math.max(...values)) : "");
    this.#show();
  }

  #described(values) {
    if (!values.length) return `${this.title}: nothing yet`;
    const [now, most] = [values.at(-1), Math.max(...values)].map(this.format);
    return `${this.title}: now ${now} ${this.unit}, at most ${most} in the last ${span(values.length)}`;
  }

  #point(event) {
    const box = this.drawing.getBoundingClientRect();
    this.pointed = Math.round(((box.right - event.clientX) / box.width) * (POINTS - 1));
    this.#show();
  }

  #unpoint() {
    this.pointed = null;
    this.#show();
  }

  #show() {
    if (!this.figure) return;
    const back = this.pointed ?? 0;
    const value = this.values.at(-1 - back);
    setText(this.figure, value === undefined ? "–" : this.format(value));
    setText(this.when, back ? `${this.unit}, ${span(back)} ago` : this.unit);
    this.mark.setAttribute("visibility", this.pointed === null ? "hidden" : "visible");
    const x = WIDTH - (back * WIDTH) / (POINTS - 1);
    this.mark.setAttribute("x1", x);
    this.mark.setAttribute("x2", x);
  }
}
