/**
 * From bytes to frames: server-sent events, and the answers of polls. Pure.
 *
 * A frame is what the wire reference says: `sync`, `publication`, `badge`, `gap`, `reconnect`,
 * `heartbeat`, `ok` or `error`, whichever transport it came by.
 */

/**
 * @typedef {{type: string, [field: string]: any}} Frame
 *
 * @typedef {object} Publication what a subscriber's callback gets
 * @property {string} topic
 * @property {string} id
 * @property {number} [offset] 1, 2, 3 … in its topic; none if it is ephemeral
 * @property {string} event
 * @property {string} time RFC 3339
 * @property {any} data
 *
 * @typedef {object} Gap
 * @property {string} topic the filter of which something is missing
 * @property {"trimmed" | "epoch"} reason
 *
 * @typedef {object} Badge
 * @property {number} as_of a later one always wins
 * @property {number} unread
 * @property {number} unseen
 * @property {Record<string, number>} by_category
 */

/** One event without end is not a stream of ours. */
export const EVENT_CHARS_MAX = 4 << 20;

/**
 * A frame from an event. A heartbeat carries its cursor as the event's id alone.
 *
 * @param {string} type
 * @param {string} data
 * @param {string} id
 * @returns {Frame}
 */
export function frameOf(type, data, id) {
  const frame = { ...JSON.parse(data), type };
  return type === "heartbeat" ? { ...frame, cursor: id } : frame;
}

/**
 * A parser of our server-sent events (WHATWG HTML section 9.2.6), fed with text as it comes.
 *
 * @param {(frame: Frame) => void} report
 * @returns {(text: string) => void} throws `RangeError` beyond `EVENT_CHARS_MAX`, `SyntaxError`
 *   for what is no frame
 */
export function eventParser(report) {
  let rest = "";
  let id = "";
  let type = "";
  /** @type {string[]} */
  let data = [];
  /** @param {string} line */
  const take = (line) => {
    if (line === "") {
      if (data.length) report(frameOf(type, data.join("\n"), id));
      type = "";
      data = [];
      return;
    }
    const [, name, value] = /** @type {string[]} */ (/^([^:]*):? ?(.*)$/s.exec(line));
    if (name === "data") data.push(value);
    else if (name === "event") type = value;
    else if (name === "id") id = value;
  };
  return (text) => {
    rest += text;
    // A CR at the very end may be half of a CR LF.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = /** @type {string} */ (lines.pop());
    if (rest.length > EVENT_CHARS_MAX) throw new RangeError("event too long");
    lines.forEach(take);
  };
}

/**
 * What a poll has answered, as the frames of a stream that begins and has said all. The last one has
 * the cursor, which is true only when all before it were taken.
 *
 * @param {any} answer `{cursor, complete, gaps?, publications, badge?}`
 * @returns {Frame[]}
 */
export const framesOf = ({ publications, cursor, ...rest }) => [
  { ...rest, type: "sync" },
  ...publications.map((/** @type {Publication} */ one) => ({ ...one, type: "publication" })),
  { type: "heartbeat", cursor },
];
