/**
 * Several transports tried with the same cursor: one, and the next when it fails or takes long.
 * The first through which data comes has won.
 */

import { Connection } from "./connection.js";

/**
 * @typedef {import("./frames.js").Frame} Frame
 * @typedef {import("./transports/face.js").Transport} Transport
 * @typedef {import("./transports/face.js").Request} Request
 * @typedef {import("./transports/face.js").End} End
 *
 * @typedef {object} Outcome
 * @property {(winner: Connection, frame: Frame, losers: Map<Transport, string>) => void} won
 *   `losers` with the reason of each
 * @property {(end: End) => void} lost after the last one has failed; how it did
 * @property {(connection: Connection, frame: Frame | undefined, end: End | undefined) => void} later
 *   what comes from the winner after its first frame
 */

const HEAD_START_MS = 2_500;
const NEXT_START_MS = 2_000;

/**
 * @param {Transport[]} transports in the order in which they start; at least one
 * @param {(transport: Transport) => Promise<Request>} prepare
 * @param {Outcome} outcome
 * @returns {() => void} ends all that run, but not the winner
 */
export function race(transports, prepare, { won, lost, later }) {
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
    const connection = new Connection(transports[started++], take);
    running.add(connection);
    if (started < transports.length) timer = setTimeout(start, ms);
    void connection.open(prepare);
  };

  const stop = () => {
    clearTimeout(timer);
    for (const connection of running) connection.close();
    running.clear();
  };

  /** @type {Outcome["later"]} */
  const take = (connection, frame, end) => {
    if (connection === winner) {
      later(connection, frame, end);
    } else if (frame) {
      winner = connection;
      running.delete(connection);
      for (const { transport } of running) failed.set(transport, "slower");
      stop();
      won(connection, frame, failed);
    } else if (end) {
      running.delete(connection);
      failed.set(connection.transport, end.reason);
      // A refusal is the answer of the server, and it would be the same on any other way.
      const refused = end.final || end.status === 401 || end.status === 403;
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
