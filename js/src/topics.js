/** Which publications are for which subscription, and which came before. Pure. */

/** Topics whose last offset is remembered; beyond, the one that was quiet longest is forgotten. */
export const TOPICS_MAX = 10_000;

/**
 * Whether an MQTT filter selects a topic. A wildcard in the first level selects neither people's
 * topics nor the server's own, as on the server.
 *
 * @param {string} filter
 * @param {string} topic
 * @returns {boolean}
 */
export function matches(filter, topic) {
  const levels = topic.split("/");
  const wanted = filter.split("/");
  if (/^[+#]$/.test(wanted[0]) && /^(\$|users$)/.test(levels[0])) return false;
  const open = wanted.at(-1) === "#" && wanted.pop();
  if (open ? levels.length < wanted.length : levels.length !== wanted.length) return false;
  return wanted.every((level, depth) => level === "+" || level === levels[depth]);
}

/** The last offset of each topic, by which what the wire repeats is dropped. @extends {Map<string, number>} */
export class Offsets extends Map {
  /**
   * Note a publication; false if it came before.
   *
   * @param {string} topic
   * @param {number | undefined} offset none for an ephemeral publication, which is always new
   */
  isNew(topic, offset) {
    if (offset === undefined) return true;
    if (offset <= (this.get(topic) ?? 0)) return false;
    this.delete(topic);
    this.set(topic, offset);
    if (this.size > TOPICS_MAX) this.delete(/** @type {string} */ (this.keys().next().value));
    return true;
  }
}
