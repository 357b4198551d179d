/** Bytes per message, from the counters that the server keeps at its sockets. Pure. */

const ZERO = Object.freeze({ bytes_in: 0, bytes_out: 0, deliveries: 0 });

/** A browser cannot count them: an open stream has no resource timing, a WebSocket never has. */
export class Costs {
  #latest = {};
  #base = {};

  /** Take over the server's counters; they begin at 0 again when the server does. */
  update(transports) {
    for (const [name, counters] of Object.entries(transports)) {
      const base = (this.#base[name] ??= { ...counters });
      if (Object.keys(ZERO).some((field) => counters[field] < base[field])) this.#base[name] = ZERO;
    }
    this.#latest = transports;
  }

  /** Count from the latest counters on. */
  reset() {
    this.#base = structuredClone(this.#latest);
  }

  /** Bytes both ways per delivered message; undefined before the first one. */
  bytesPerMessage(name) {
    const [latest, base] = [this.#latest[name], this.#base[name]];
    if (latest === undefined || latest.deliveries === base.deliveries) return undefined;
    const bytes = latest.bytes_in + latest.bytes_out - base.bytes_in - base.bytes_out;
    return bytes / (latest.deliveries - base.deliveries);
  }
}
