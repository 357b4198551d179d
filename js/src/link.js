/**
 * Keeps one client connected, over whichever transport works. Owns no cursor and knows no frame
 * but those that are about the connection.
 *
 *     idle → connecting → live → waiting → connecting → …     closed is final
 *
 * `live` needs data, not an open socket: browsers report a stream as open long before anything can
 * come through. A switch is made before it is broken: the old connection goes on until the new one,
 * opened with the same cursor, has spoken; what both bring is dropped by its offset.
 */

import { BACKOFF_FIRST_MS, jitter } from "./backoff.js";
import { Chooser } from "./chooser.js";
import { race } from "./race.js";

/**
 * @typedef {import("./frames.js").Frame} Frame
 * @typedef {import("./connection.js").Connection} Connection
 * @typedef {import("./transports/face.js").Transport} Transport
 * @typedef {import("./transports/face.js").Request} Request
 * @typedef {import("./transports/face.js").End} End
 * @typedef {"idle" | "connecting" | "live" | "waiting" | "closed"} State
 *
 * @typedef {object} Hooks
 * @property {(transport: Transport) => Promise<Request>} prepare what to open with, at this moment
 * @property {(frame: Frame) => void} frame
 * @property {() => void} change `state`, `transport`, `reason` or `retryAt` has changed
 * @property {(end: End) => boolean} refused the credential was; whether there is a fresh one
 * @property {(transport: Transport, what: import("./chooser.js").Note["what"], reason?: string) => void} note
 */

/** A connection that has said nothing for so long is not trusted when somebody comes back. */
const DOUBTFUL_MS = 15_000;
/** A wait is at most a tenth of the time away: who was away for ten seconds is back within one of the return. */
const AWAY_SHARE = 10;

export class Link {
  /** @type {State} */
  state = "idle";
  /** Why it is not live. */
  reason = "";
  /** While `waiting`: until when, in milliseconds of the wall. */
  retryAt = 0;

  #chooser;
  #hooks;
  /** Since when nothing works, in milliseconds of the wall; 0: it does. */
  #lostAt = 0;
  /** Within how long all clients of the server come back, as it says. */
  #spreadMs = BACKOFF_FIRST_MS;
  /** @type {Connection | undefined} */
  #current;
  /** @type {(() => void) | undefined} what ends the attempts that are under way */
  #race;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #climber;

  /**
   * @param {Transport[]} transports best first
   * @param {string} key under which a good one is remembered
   * @param {Hooks} hooks
   */
  constructor(transports, key, hooks) {
    this.#chooser = new Chooser(transports, key, hooks.note);
    this.#hooks = hooks;
  }

  /** Name of the transport in use. */
  get transport() {
    return this.#current?.transport.name;
  }

  start() {
    if (this.state === "idle") this.#connect();
  }

  /** Let go; `start` begins again. */
  stop() {
    if (this.state === "closed") return;
    this.#drop();
    this.#become("idle", "");
  }

  /** @param {string} reason */
  close(reason) {
    this.#drop();
    this.#become("closed", reason);
  }

  /** The network is back, or somebody looks at the page again. */
  hurry() {
    if (this.state === "waiting") this.#connect();
    else if (this.#current && Date.now() - this.#current.heardAt > DOUBTFUL_MS) this.renew();
    else this.#climb();
  }

  /** What the connection was opened with has changed: open one anew, then drop the old one. */
  renew() {
    const used = this.#current?.transport;
    if (used) this.#run([used, ...this.#chooser.order().filter((one) => one !== used)]);
    else if (this.state === "connecting") this.#connect();
  }

  /**
   * Send a command on the running connection.
   *
   * @param {object} command
   * @returns {boolean} false if it cannot be sent
   */
  send(command) {
    return !this.#race && !!this.#current?.send(command);
  }

  #connect() {
    this.#become("connecting", this.reason);
    this.#run(this.#chooser.order());
  }

  /** Try what is better than the one in use. */
  #climb() {
    const better = this.#current && !this.#race ? this.#chooser.better(this.#current.transport) : [];
    if (better.length) this.#run(better);
  }

  /** @param {Transport[]} transports */
  #run(transports) {
    this.#stopTrying();
    this.#race = race(transports, this.#hooks.prepare, {
      won: this.#won,
      lost: (end) => this.#lost(transports, end),
      later: this.#take,
    });
  }

  /** @type {import("./race.js").Outcome["won"]} */
  #won = (winner, frame, losers) => {
    losers.forEach((reason, one) => this.#chooser.strike(one, reason));
    this.#current?.close();
    this.#race = undefined;
    this.#current = winner;
    this.#hooks.note(winner.transport, "live");
    this.#become("live", "");
    this.#climbLater();
    this.#take(winner, frame, undefined);
  };

  /**
   * @param {Transport[]} transports
   * @param {End} end
   */
  #lost(transports, end) {
    this.#race = undefined;
    if (this.#current) {
      transports.forEach((one) => this.#chooser.strike(one, end.reason));
      this.#climbLater();
    } else {
      this.#ended(end);
    }
  }

  #climbLater() {
    clearTimeout(this.#climber);
    const ms = this.#current && this.#chooser.climbMs(this.#current.transport);
    if (ms !== undefined) this.#climber = setTimeout(() => this.#climb(), ms);
  }

  /** @type {import("./race.js").Outcome["later"]} */
  #take = (connection, frame, end) => {
    if (connection !== this.#current) return;
    if (frame) {
      if (connection.frames === 2) {
        this.#lostAt = 0;
        this.#chooser.prove(connection.transport);
      }
      this.#hooks.frame(frame);
      this.#spreadMs = frame.spread_ms ?? this.#spreadMs;
      if (frame.type === "reconnect") {
        if (frame.reason === "reauth") this.#hooks.refused({ reason: "token_expired" });
        this.#wait(`asked to reconnect: ${frame.reason}`, frame.retry_ms);
      }
    } else if (end) {
      if (connection.frames < 2) this.#chooser.strike(connection.transport, end.reason);
      this.#ended(end);
    }
  };

  /** @param {End} end */
  #ended(end) {
    const { status, reason } = end;
    if (status === 401 || status === 403) {
      if (this.#hooks.refused(end)) this.#wait(reason, 0);
      else this.close(reason);
    } else if (end.final) {
      this.close(reason);
    } else {
      this.#lostAt ||= Date.now();
      this.#wait(reason, Math.max(end.retryMs ?? 0, jitter(Math.max(this.#spreadMs, (Date.now() - this.#lostAt) / AWAY_SHARE))));
    }
  }

  /**
   * @param {string} reason
   * @param {number} ms
   */
  #wait(reason, ms) {
    this.#drop();
    this.retryAt = Date.now() + ms;
    this.#become("waiting", reason);
    this.#timer = setTimeout(() => this.#connect(), ms);
  }

  #stopTrying() {
    clearTimeout(this.#timer);
    clearTimeout(this.#climber);
    this.#race?.();
    this.#race = undefined;
  }

  #drop() {
    this.#stopTrying();
    this.#current?.close();
    this.#current = undefined;
  }

  /**
   * @param {State} state
   * @param {string} reason
   */
  #become(state, reason) {
    this.state = state;
    this.reason = reason;
    this.#hooks.change();
  }
}
