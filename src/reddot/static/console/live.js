/**
 * The figures of the server, asked for once a second while somebody looks. What is shown is live or
 * says that it is not: nothing stale passes for fresh.
 */

const EVERY_MS = 1000;
const STALE_MS = 3500;
const ROWS_MAX = 300;

export class Live {
  constructor(api) {
    this.api = api;
    this.stats = null;
    this.rows = [];
    this.state = "connecting";
    this.answeredAt = 0;
    this.last = -1;
    this.offsetMs = 0;
    this.listeners = new Set();
    this.running = false;
    this.visible = () => document.hidden || this.ask();
  }

  start() {
    this.running = true;
    this.timer = setInterval(() => document.hidden || this.ask(), EVERY_MS);
    document.addEventListener("visibilitychange", this.visible);
    return this.ask();
  }

  stop() {
    this.running = false;
    clearInterval(this.timer);
    document.removeEventListener("visibilitychange", this.visible);
  }

  /** @param {() => void} listener called after each answer, and when there is none */
  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Milliseconds by the server's clock. */
  now() {
    return Date.now() + this.offsetMs;
  }

  get silentS() {
    return (performance.now() - this.answeredAt) / 1000;
  }

  async ask() {
    if (this.asking) return this.#judge();
    this.asking = true;
    try {
      this.#take(await this.api.get("v1/stats", { since: this.last < 0 ? "" : this.last }));
    } catch {
      // `state` says it as soon as the silence is too long.
    }
    this.asking = false;
    this.#judge();
  }

  #take(stats) {
    // Another start of the server counts anew, and answers with all rows it has.
    const anew = this.last < 0 || stats.samples.last < this.last;
    this.rows = [...(anew ? [] : this.rows), ...stats.samples.rows].slice(-ROWS_MAX);
    this.last = stats.samples.last;
    this.stats = stats;
    this.answeredAt = performance.now();
    this.offsetMs = Date.parse(stats.time) - Date.now();
  }

  #judge() {
    if (!this.running) return;
    if (this.stats) this.state = performance.now() - this.answeredAt > STALE_MS ? "stale" : "live";
    else if (performance.now() > STALE_MS) this.state = "stale";
    for (const listener of this.listeners) listener();
  }

  /** The values of one column, oldest first; of several, their sum. */
  column(...names) {
    const indexes = names.map((name) => this.stats?.samples.columns.indexOf(name) ?? -1);
    return this.rows.map((row) => indexes.reduce((sum, index) => sum + (row[index] ?? 0), 0));
  }
}
