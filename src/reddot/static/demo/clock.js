/**
 * The server's wall clock, as seen from this page.
 *
 * A question asked at `asked` and answered at `heard` with "it is now n" means that the server's
 * clock stood between n and n + 1 ms (it is told in whole milliseconds) at some moment between the
 * two. So each answer bounds the offset, the best of several narrow it, and the middle is half the
 * round trip. Local time is `performance.now()`, which no clock adjustment moves.
 */

const STAMP_MS = 1;

export class ServerClock {
  #offset = Date.now() - performance.now();
  #error = Infinity;
  #ask;

  /** @param {() => Promise<number>} ask answers the server's time in milliseconds */
  constructor(ask) {
    this.#ask = ask;
  }

  /** Milliseconds since the Unix epoch by the server's clock. */
  now() {
    return this.#offset + performance.now();
  }

  /** How far `now` may be off, in milliseconds; Infinity before the first measurement. */
  get error() {
    return this.#error;
  }

  /** Age of something that the server stamped, in milliseconds, never below 0. */
  age(stampMs) {
    // A stamp is cut to whole milliseconds, so on average it is half of one too old.
    return Math.max(0, this.now() - stampMs - STAMP_MS / 2);
  }

  /** Ask several times, and take over the narrowest bounds. Rejects if the server is away. */
  async measure(times = 8) {
    let low = -Infinity;
    let high = Infinity;
    for (let i = 0; i < times; i++) {
      const asked = performance.now();
      const told = await this.#ask();
      const heard = performance.now();
      low = Math.max(low, told - heard);
      high = Math.min(high, told + STAMP_MS - asked);
    }
    // Bounds that cross mean that a clock was set in between: the next measurement will do.
    if (low > high) return;
    this.#offset = (low + high) / 2;
    this.#error = (high - low) / 2;
  }
}
