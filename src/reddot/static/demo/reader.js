/** One transport being read: its link, its tally, its panel and its latest frames, held together. */

import { Link } from "./link.js";
import { Panel } from "./panel.js";
import { matches } from "./server.js";
import { Tally } from "./tally.js";

const FRAMES_KEPT = 60;
const SILENCE_MS_MIN = 3_000;
const SILENCE_INTERVALS = 3;
// A stamp has whole milliseconds and the clock an error; a retained message is far older.
const CLOCK_SLACK_MS = 5;

export class Reader {
  name;
  panel;
  tally = new Tally();
  link;
  /** The latest frames, newest first: `{at, frame, delay}`. */
  frames = [];
  #clock;
  #dot;
  #streams;
  #connectedAt = 0;

  constructor(about, transport, { clock, visitor, dot, onPublication }) {
    this.name = about.name;
    this.panel = new Panel(about, () => dot.markAll(this.link.cursor));
    this.#clock = clock;
    this.#dot = dot;
    this.#streams = transport.heartbeatMs !== undefined;
    this.link = new Link(transport, visitor, {
      frame: (frame, fresh) => this.#frame(frame, fresh, onPublication),
      state: (state) => this.#state(state),
      request: () => (this.tally.requests += 1),
    });
    this.panel.showState("off");
  }

  /** Start the figures anew. The one request that a stream lives on goes on counting. */
  reset() {
    this.tally.reset(this.#streams && ["live", "connecting"].includes(this.link.state) ? 1 : 0);
  }

  /** What panel, table and sentences show. `bytesPerMessage` may be undefined. */
  figures(bytesPerMessage) {
    const { received, requests, lost, twice, gap } = this.tally;
    const counts = { received, requests, lost, twice, gap };
    return { name: this.name, state: this.panel.word, ...counts, ...this.tally.summary(), bytesPerMessage };
  }

  /**
   * A cut iframe says nothing: show the silence while the watchdog still waits.
   * @param {number} intervalMs what passes between two messages; Infinity if none are expected
   */
  showSilence(intervalMs) {
    if (!this.#streams || this.link.state !== "live") return;
    const silence = performance.now() - this.link.heardAt;
    const expected = Math.max(SILENCE_MS_MIN, SILENCE_INTERVALS * intervalMs);
    this.panel.showState(silence > expected ? "silent" : "live");
  }

  #state(state) {
    if (state === "connecting") this.#connectedAt = this.#clock.now();
    this.panel.showState(state);
  }

  #frame(frame, fresh, onPublication) {
    let delay;
    if (frame.type === "publication") delay = this.#publication(frame, fresh, onPublication);
    else if (frame.type === "gap") this.#gap([frame]);
    else if (frame.type === "badge") this.#badge(frame);
    else if (frame.type === "sync") this.#sync(frame);
    this.frames.unshift({ at: Date.now(), frame, delay });
    this.frames.length = Math.min(this.frames.length, FRAMES_KEPT);
  }

  #sync({ complete, gaps, badge }) {
    if (complete === false) this.#gap(gaps);
    if (badge) this.#badge(badge);
  }

  #badge(badge) {
    this.panel.showUnread(badge.unread);
    this.#dot.take(badge, this.name);
  }

  #publication(frame, fresh, onPublication) {
    // The visitor's own inbox is no part of what is measured.
    if (!matches(frame.topic)) return undefined;
    const stamp = Date.parse(frame.time);
    // Who starts from now is handed what topics retain: older than the question, so not late.
    if (fresh && stamp < this.#connectedAt - CLOCK_SLACK_MS) return undefined;
    const delay = this.#clock.age(stamp);
    this.tally.receive(frame, delay);
    this.panel.flash(delay);
    onPublication(frame);
    return delay;
  }

  #gap(gaps) {
    const reasons = gaps.map((gap) => gap.reason);
    this.tally.gap = `gap: ${gaps.map((gap) => `${gap.topic} (${gap.reason})`).join(", ")}`;
    if (reasons.includes("epoch")) this.tally.forgetOffsets();
  }
}
