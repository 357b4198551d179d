/** One transport's panel: its DOM and how figures are drawn into it. */

import { formatBytes, formatCount, formatMs, NOTHING } from "./format.js";
import { axisPosition, BARS } from "./tally.js";

const WORDS = {
  off: "off",
  connecting: "connecting",
  live: "live",
  silent: "silent",
  waiting: "reconnecting",
};
const FLASH_MS_MIN = 90;
const FLASH = { duration: 700, easing: "ease-out" };
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Write only what changed, so that an idle page touches nothing. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The histogram: forty bars, a line at the median, and a red dot at the latest delay. */
class Histogram {
  #root;
  #bars;
  #median = document.createElement("i");
  #latest = document.createElement("i");
  #flashedAt = 0;

  constructor(root) {
    this.#root = root;
    this.#bars = Array.from({ length: BARS }, () => document.createElement("b"));
    this.#median.className = "median-line";
    this.#latest.className = "latest";
    this.#median.hidden = this.#latest.hidden = true;
    root.querySelector(".bars").append(...this.#bars, this.#median, this.#latest);
  }

  draw(name, { median, p99, bars }) {
    const highest = Math.max(1, ...bars);
    // A bar of one among thousands must still be seen: never less than a sliver.
    bars.forEach((count, i) => {
      const height = count ? Math.max(0.03, count / highest) : 0;
      this.#bars[i].style.setProperty("--height", height.toFixed(3));
    });
    this.#median.hidden = median === undefined;
    if (median === undefined) this.#latest.hidden = true;
    else this.#median.style.setProperty("--at", axisPosition(median).toFixed(4));
    const figures = `median ${formatMs(median)}, p99 ${formatMs(p99)} milliseconds`;
    const said = median === undefined ? "nothing yet" : figures;
    this.#root.setAttribute("aria-label", `Delays over ${name}: ${said}`);
  }

  /** Let the red dot jump to the delay of the message that just came. */
  flash(delay) {
    const now = performance.now();
    if (document.hidden || now - this.#flashedAt < FLASH_MS_MIN) return;
    this.#flashedAt = now;
    this.#latest.hidden = false;
    this.#latest.style.setProperty("--at", axisPosition(delay).toFixed(4));
    if (!calm.matches) this.#latest.animate([{ scale: 1.9 }, { scale: 1 }], FLASH);
  }
}

export class Panel {
  element;
  /** The state in one word. */
  word = "";
  #parts;
  #histogram;
  #name;

  /**
   * @param {{name: string, address: string, cost: string}} about
   * @param {() => void} read all that this panel shows
   */
  constructor({ name, address, cost }, read) {
    const template = document.getElementById("panel-template");
    this.element = template.content.firstElementChild.cloneNode(true);
    const part = (selector) => this.element.querySelector(selector);
    this.#name = name;
    this.#parts = {
      unread: part(".badge"),
      count: part(".received"),
      word: part(".state-word"),
      median: part(".median"),
      p99: part(".p99"),
      requests: part(".requests"),
      bytes: part(".bytes"),
      meter: part(".meter i"),
      lost: part(".lost"),
      twice: part(".twice"),
      gap: part(".gap"),
    };
    setText(part("h3"), name);
    setText(part(".address"), address);
    setText(part(".cost"), cost);
    this.#histogram = new Histogram(part(".histogram"));
    this.#parts.unread.addEventListener("click", read);
  }

  /** The badge as this transport has told it; pressed, all of it is read, here and everywhere. */
  showUnread(unread) {
    const badge = this.#parts.unread;
    badge.hidden = unread === 0;
    setText(badge, unread > 99 ? "99+" : String(unread));
    badge.setAttribute("aria-label", `${unread} unread over ${this.#name}: mark as read`);
  }

  /** The state, as colour and as word. `role=status` reads the word out, so only when it changes. */
  showState(state) {
    this.word = WORDS[state];
    this.element.dataset.state = state;
    setText(this.#parts.word, this.word);
  }

  flash(delay) {
    this.#histogram.flash(delay);
  }

  /**
   * @param {object} figures of a reader
   * @param {number} dearest bytes per message of the dearest panel
   */
  draw(figures, dearest) {
    const parts = this.#parts;
    this.element.toggleAttribute("data-empty", figures.received === 0);
    setText(parts.count, formatCount(figures.received));
    setText(parts.median, formatMs(figures.median));
    setText(parts.p99, figures.p99 === undefined ? NOTHING : `${formatMs(figures.p99)} ms`);
    setText(parts.requests, formatCount(figures.requests));
    setText(parts.bytes, formatBytes(figures.bytesPerMessage));
    const share = dearest ? (figures.bytesPerMessage ?? 0) / dearest : 0;
    parts.meter.style.setProperty("--share", share.toFixed(3));
    this.#drawFaults(figures);
    this.#histogram.draw(this.#name, figures);
  }

  #drawFaults({ lost, twice, gap }) {
    const parts = this.#parts;
    setText(parts.lost, formatCount(lost));
    setText(parts.twice, formatCount(twice));
    parts.lost.classList.toggle("alarm", lost > 0);
    parts.twice.classList.toggle("alarm", twice > 0);
    parts.gap.hidden = gap === undefined;
    if (gap !== undefined) setText(parts.gap, gap);
  }
}
