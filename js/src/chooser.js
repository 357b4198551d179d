/**
 * Which transport to try first: what worked a moment ago, then the order of preference, with those
 * that failed twice in a row at the end. None is given up for good: a way that is blocked here may
 * be open in the next network.
 */

/**
 * @typedef {import("./transports/face.js").Transport} Transport
 *
 * @typedef {object} Note what was decided about a transport, and why
 * @property {string} transport its name
 * @property {"trying" | "live" | "proved" | "failed" | "demoted"} what `live`: the first data has
 *   come; `proved`: more than that; `demoted`: it has failed twice in a row and is tried last
 * @property {string} [reason]
 */

const REMEMBERED_MS = 600_000;
const STRIKES_MAX = 2;
const DEMOTED_MS = 300_000;
/** How soon a better one is tried again that has failed once only. */
const RETRY_MS = 30_000;

export class Chooser {
  #transports;
  #key;
  #note;
  /** @type {Map<Transport, number>} failures in a row */
  #strikes = new Map();

  /**
   * @param {Transport[]} transports best first
   * @param {string} key under which the last good one is remembered for this tab
   * @param {(transport: Transport, what: Note["what"], reason?: string) => void} note is told
   */
  constructor(transports, key, note) {
    this.#transports = transports;
    this.#key = key;
    this.#note = note;
  }

  /** All of them, in the order in which they are to be tried. */
  order() {
    const known = this.#recall();
    const rank = (/** @type {Transport} */ one) => (this.#isDemoted(one) ? 2 : one.name === known ? 0 : 1);
    return [...this.#transports].sort((a, b) => rank(a) - rank(b));
  }

  /**
   * Those that would be better than the one in use.
   *
   * @param {Transport} used
   */
  better(used) {
    return this.#transports.slice(0, this.#transports.indexOf(used));
  }

  /**
   * When to try them again.
   *
   * @param {Transport} used
   * @returns {number | undefined} milliseconds; undefined if there is none better
   */
  climbMs(used) {
    const better = this.better(used);
    if (!better.length) return undefined;
    return better.every((one) => this.#isDemoted(one)) ? DEMOTED_MS : RETRY_MS;
  }

  /**
   * It failed where another one worked, or before it had proved itself.
   *
   * @param {Transport} transport
   * @param {string} reason
   */
  strike(transport, reason) {
    this.#strikes.set(transport, (this.#strikes.get(transport) ?? 0) + 1);
    this.#note(transport, this.#isDemoted(transport) ? "demoted" : "failed", reason);
  }

  /**
   * Data has come through it.
   *
   * @param {Transport} transport
   */
  prove(transport) {
    this.#strikes.delete(transport);
    this.#note(transport, "proved");
    try {
      sessionStorage.setItem(this.#key, `${Date.now()} ${transport.name}`);
    } catch {
      // Storage is forbidden or full: then it is not remembered.
    }
  }

  #recall() {
    try {
      const [at, name] = (sessionStorage.getItem(this.#key) ?? "").split(" ");
      return Date.now() - Number(at) < REMEMBERED_MS ? name : undefined;
    } catch {
      return undefined;
    }
  }

  /** @param {Transport} transport */
  #isDemoted(transport) {
    return (this.#strikes.get(transport) ?? 0) >= STRIKES_MAX;
  }
}
