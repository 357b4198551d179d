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

/**
 * @param {Transport[]} transports best first
 * @param {string} key under which the last good one is remembered for this tab
 * @param {(transport: Transport, what: Note["what"], reason?: string) => void} note is told
 */
export function makeChooser(transports, key, note) {
  /** Failures in a row. @type {Map<Transport, number>} */
  const strikes = new Map();
  const strikesOf = (/** @type {Transport} */ one) => strikes.get(one) ?? 0;
  const isDemoted = (/** @type {Transport} */ one) => strikesOf(one) >= STRIKES_MAX;

  /** When which one has worked; nothing where storage is forbidden or full. @param {string} [now] */
  const remembered = (now) => {
    try {
      if (now) sessionStorage[key] = now;
      return sessionStorage[key].split(" ");
    } catch {
      return [];
    }
  };

  /** Those that would be better than the one in use. @param {Transport} used */
  const better = (used) => transports.slice(0, transports.indexOf(used));

  return {
    better,

    /** All of them, in the order in which they are to be tried. */
    order() {
      const [at, name] = remembered();
      const known = Date.now() - at < REMEMBERED_MS && name;
      const rank = (/** @type {Transport} */ one) => (isDemoted(one) ? 2 : one.name === known ? 0 : 1);
      return [...transports].sort((a, b) => rank(a) - rank(b));
    },

    /**
     * When to try better ones again.
     *
     * @param {Transport} used
     * @returns {number} milliseconds
     */
    climbMs: (used) => (better(used).every(isDemoted) ? DEMOTED_MS : RETRY_MS),

    /**
     * It failed where another one worked, or before it had proved itself.
     *
     * @param {string} reason
     * @param {Transport} transport
     */
    strike(reason, transport) {
      strikes.set(transport, strikesOf(transport) + 1);
      note(transport, isDemoted(transport) ? "demoted" : "failed", reason);
    },

    /** Data has come through it. @param {Transport} transport */
    prove(transport) {
      strikes.delete(transport);
      note(transport, "proved");
      remembered(`${Date.now()} ${transport.name}`);
    },
  };
}
