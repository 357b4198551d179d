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
 * @property {(winner: Connection, frame: Frame, losers: Transport[]) => void} won
 * @property {(end: End) => void} lost after the last one has failed; how it did
 * @property {(connection: Connection, frame: Frame | undefined, end: End | undefined) => void} later
 *   what comes from the winner after its first frame
 */

const HEAD_STARTS_MS = [2_500, 2_000];

export class Race {
  #transports;
  #prepare;
  #outcome;
  /** @type {Connection | undefined} */
  #winner;
  /** @type {Set<Connection>} */
  #running = new Set();
  /** @type {Transport[]} */
  #failed = [];
  #started = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {Transport[]} transports in the order in which they start
   * @param {(transport: Transport) => Promise<Request>} prepare
   * @param {Outcome} outcome
   */
  constructor(transports, prepare, outcome) {
    this.#transports = transports;
    this.#prepare = prepare;
    this.#outcome = outcome;
  }

  start() {
    clearTimeout(this.#timer);
    const transport = this.#transports[this.#started];
    if (!transport) return;
    const ms = HEAD_STARTS_MS[Math.min(this.#started, HEAD_STARTS_MS.length - 1)];
    this.#started += 1;
    const connection = new Connection(transport, (...report) => this.#take(...report));
    this.#running.add(connection);
    if (this.#started < this.#transports.length) this.#timer = setTimeout(() => this.start(), ms);
    void connection.open(() => this.#prepare(transport));
  }

  /** End all that run, but not the winner. */
  stop() {
    clearTimeout(this.#timer);
    for (const connection of this.#running) connection.close();
    this.#running.clear();
  }

  /** @type {(connection: Connection, frame: Frame | undefined, end: End | undefined) => void} */
  #take(connection, frame, end) {
    if (connection === this.#winner) {
      this.#outcome.later(connection, frame, end);
    } else if (frame) {
      this.#winner = connection;
      this.#running.delete(connection);
      const losers = [...this.#failed, ...[...this.#running].map(({ transport }) => transport)];
      this.stop();
      this.#outcome.won(connection, frame, losers);
    } else if (end) {
      this.#running.delete(connection);
      this.#failed.push(connection.transport);
      this.#fail(end);
    }
  }

  /** @param {End} end */
  #fail(end) {
    // A refusal is the answer of the server, and it would be the same on any other way.
    const refused = end.final || end.status === 401 || end.status === 403;
    if (!refused && this.#started < this.#transports.length) {
      this.start();
    } else if (refused || !this.#running.size) {
      this.stop();
      this.#outcome.lost(end);
    }
  }
}
