/**
 * What one panel has received: counts, delays, holes and doubles. Pure: no DOM, no clock.
 *
 * Durable publications have offsets 1, 2, 3 … per topic. An offset that is jumped over is lost
 * until it arrives after all; one that has been seen is there twice.
 */

const DELAYS_KEPT = 4096;
const TOPICS_MAX = 200;
const HOLE_MAX = 20_000;

/** The axis of every histogram: 1 ms to 10 s in four decades of ten bars. */
export const BARS = 40;
const BARS_PER_DECADE = 10;

/** Where a delay stands on the axis, from 0 (1 ms or less) to 1 (10 s or more). */
export function axisPosition(ms) {
  return Math.min(1, Math.max(0, (Math.log10(Math.max(ms, 1)) * BARS_PER_DECADE) / BARS));
}

export class Tally {
  received = 0;
  requests = 0;
  twice = 0;
  /** The last gap that the server told of, or undefined. */
  gap;
  #lostForGood = 0;
  #topics = new Map();
  #delays = new Float64Array(DELAYS_KEPT);
  #measured = 0;

  get lost() {
    let lost = this.#lostForGood;
    for (const { missing } of this.#topics.values()) lost += missing.size;
    return lost;
  }

  /** Count a publication; `delay` in milliseconds. */
  receive({ topic, offset }, delay) {
    this.received += 1;
    this.#delays[this.#measured++ % DELAYS_KEPT] = delay;
    if (offset) this.#place(topic, offset);
  }

  /** Start the figures anew, with so many requests open. What came before is not lost or twice. */
  reset(requestsOpen) {
    this.requests = requestsOpen;
    this.received = this.twice = this.#measured = this.#lostForGood = 0;
    this.gap = undefined;
    for (const place of this.#topics.values()) {
      place.floor = place.highest;
      place.missing.clear();
    }
  }

  /** The log is another one: its offsets start again. */
  forgetOffsets() {
    for (const { missing } of this.#topics.values()) this.#lostForGood += missing.size;
    this.#topics.clear();
  }

  /** `{median, p99, bars}` of the kept delays; median and p99 are undefined without any. */
  summary() {
    const kept = this.#delays.slice(0, Math.min(this.#measured, DELAYS_KEPT)).sort();
    const bars = new Array(BARS).fill(0);
    for (const delay of kept) bars[Math.min(BARS - 1, Math.floor(axisPosition(delay) * BARS))] += 1;
    const quantile = (q) => kept[Math.min(kept.length - 1, Math.floor(q * kept.length))];
    return { median: quantile(0.5), p99: quantile(0.99), bars };
  }

  #place(topic, offset) {
    const place = this.#topics.get(topic);
    if (place === undefined) {
      if (this.#topics.size < TOPICS_MAX) {
        this.#topics.set(topic, { floor: offset - 1, highest: offset, missing: new Set() });
      }
    } else if (offset > place.highest) {
      this.#noteHole(place, offset);
      place.highest = offset;
    } else if (!place.missing.delete(offset) && offset > place.floor) {
      this.twice += 1;
    }
  }

  #noteHole({ highest, missing }, offset) {
    const hole = offset - highest - 1;
    if (missing.size + hole > HOLE_MAX) this.#lostForGood += hole;
    else for (let each = highest + 1; each < offset; each++) missing.add(each);
  }
}
