/**
 * Several transports tried with the same cursor: one, and the next when it fails or takes long.
 * The first through which data comes has won.
 */

import { connect } from "./connection.js";

/**
 * @typedef {import("./frames.js").Frame} Frame
 * @typedef {import("./connection.js").Connection} Connection
 * @typedef {import("./transports/face.js").Transport} Transport
 * @typedef {import("./transports/face.js").Request} Request
 * @typedef {import("./transports/face.js").End} End
 */

const HEAD_START_MS = 2_500;
const NEXT_START_MS = 2_000;

/** Whether the server has refused the credential. @param {End} end */
export const isRefusal = ({ status }) => status === 401 || status === 403;

/**
 * @param {Transport[]} transports in the order in which they start; at least one
 * @param {(transport: Transport) => Promise<Request>} prepare
 * @param {(winner: Connection, frame: Frame, losers: Map<Transport, string>) => void} won `losers`
 *   with the reason of each
 * @param {(end: End) => void} lost after the last one has failed; how it did
 * @param {import("./connection.js").Report} later what comes from the winner after its first frame
 * @returns {() => void} ends all that run, but not the winner
 */
export function race(transports, prepare, won, lost, later) {
  /** @type {Connection | undefined} */
  let winner;
  /** @type {Set<Connection>} */
  const running = new Set();
  /** @type {Map<Transport, string>} */
  const failed = new Map();
  let started = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  const start = () => {
    clearTimeout(timer);
    const ms = started ? NEXT_START_MS : HEAD_START_MS;
    running.add(connect(transports[started++], prepare, take));
    if (started < transports.length) timer = setTimeout(start, ms);
  };

  const stop = () => {
    clearTimeout(timer);
    for (const connection of running) connection.close();
    running.clear();
  };

  /** @type {import("./connection.js").Report} */
  const take = (connection, frame, end) => {
    if (connection === winner) return later(connection, frame, end);
    running.delete(connection);
    if (frame) {
      winner = connection;
      for (const { transport } of running) failed.set(transport, "slower");
      stop();
      won(connection, frame, failed);
    } else if (end) {
      failed.set(connection.transport, end.reason);
      // A refusal is the answer of the server, and it would be the same on any other way.
      const refused = end.final || isRefusal(end);
      if (!refused && started < transports.length) {
        start();
      } else if (refused || !running.size) {
        stop();
        lost(end);
      }
    }
  };

  start();
  return stop;
}
