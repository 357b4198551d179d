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
import { makeChooser } from "./chooser.js";
import { isRefusal, race } from "./race.js";

/**
 * @typedef {import("./frames.js").Frame} Frame
 * @typedef {import("./connection.js").Connection} Connection
 * @typedef {import("./transports/face.js").Transport} Transport
 * @typedef {import("./transports/face.js").Request} Request
 * @typedef {import("./transports/face.js").End} End
 * @typedef {"idle" | "connecting" | "live" | "waiting" | "closed"} State
 *
 * @typedef {object} Status
 * @property {State} state
 * @property {string} [transport] name of the one in use
 * @property {string} reason why it is not live
 * @property {number} retryAt while `waiting`: until when, in milliseconds of the wall
 *
 * @typedef {object} Hooks
 * @property {(transport: Transport) => Promise<Request>} prepare what to open with, at this moment
 * @property {(frame: Frame) => void} take
 * @property {(status: Status) => void} change
 * @property {(end: End) => boolean} refused the credential was; whether there is a fresh one
 * @property {(transport: Transport, what: import("./chooser.js").Note["what"], reason?: string) => void} note
 *
 * @typedef {ReturnType<typeof makeLink>} Link
 */

/** A connection that has said nothing for so long is not trusted when somebody comes back. */
const DOUBTFUL_MS = 15_000;
/** A wait is at most a tenth of the time away: who was away for ten seconds is back within one of the return. */
const AWAY_SHARE = 10;

/**
 * @param {Transport[]} transports best first
 * @param {string} key under which a good one is remembered
 * @param {Hooks} hooks
 */
export function makeLink(transports, key, { prepare, take, change, refused, note }) {
  const chooser = makeChooser(transports, key, note);
  /** Since when nothing works, in milliseconds of the wall; 0: it does. */
  let lostAt = 0;
  /** Within how long all clients of the server come back, as it says. */
  let spreadMs = BACKOFF_FIRST_MS;
  /** @type {Connection | undefined} */
  let current;
  /** What ends the attempts that are under way. @type {(() => void) | undefined} */
  let giveUp;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let climber;

  /** @type {(state: State, reason?: string, retryAt?: number) => void} */
  const become = (state, reason = "", retryAt = 0) => {
    link.status = { state, transport: current?.transport.name, reason, retryAt };
    change(link.status);
  };

  const stopTrying = () => {
    clearTimeout(timer);
    clearTimeout(climber);
    giveUp?.();
    giveUp = undefined;
  };

  const drop = () => {
    stopTrying();
    current?.close();
    current = undefined;
  };

  const connect = () => {
    become("connecting", link.status.reason);
    run(chooser.order());
  };

  /** @param {Transport[]} wanted */
  const run = (wanted) => {
    stopTrying();
    giveUp = race(wanted, prepare, won, (end) => lost(wanted, end), hear);
  };

  /** Try what is better than the one in use. */
  const climb = () => {
    const better = current && !giveUp ? chooser.better(current.transport) : [];
    if (better.length) run(better);
  };

  const climbLater = () => {
    clearTimeout(climber);
    if (current) climber = setTimeout(climb, chooser.climbMs(current.transport));
  };

  /** @type {Parameters<typeof race>[2]} */
  const won = (winner, frame, losers) => {
    losers.forEach(chooser.strike);
    current?.close();
    giveUp = undefined;
    current = winner;
    // While the network is there: what another way would need.
    transports.forEach((one) => one.load?.().catch(() => {}));
    note(winner.transport, "live");
    become("live");
    climbLater();
    hear(winner, frame);
  };

  /** @type {(wanted: Transport[], end: End) => void} */
  const lost = (wanted, end) => {
    giveUp = undefined;
    if (!current?.heardAt) return ended(end); // None, or one in doubt that has said nothing since.
    wanted.forEach((one) => chooser.strike(end.reason, one));
    climbLater();
  };

  /** @type {import("./connection.js").Report} */
  const hear = (connection, frame, end) => {
    if (connection !== current) return;
    if (frame) {
      if (connection.frames === 2) {
        lostAt = 0;
        chooser.prove(connection.transport);
      }
      take(frame);
      const { type, reason, spread_ms = spreadMs } = frame;
      spreadMs = spread_ms;
      if (type === "reconnect") {
        if (reason === "reauth") refused({ reason });
        wait(reason, frame.retry_ms);
      }
    } else if (end) {
      if (connection.frames < 2) chooser.strike(end.reason, connection.transport);
      ended(end);
    }
  };

  /** @param {End} end */
  const ended = (end) => {
    const { reason, retryMs = 0 } = end;
    if (isRefusal(end) ? !refused(end) : end.final) return link.close(reason);
    if (isRefusal(end)) return wait(reason, 0);
    lostAt ||= Date.now();
    wait(reason, Math.max(retryMs, jitter(Math.max(spreadMs, (Date.now() - lostAt) / AWAY_SHARE))));
  };

  /**
   * @param {string} reason
   * @param {number} ms
   */
  const wait = (reason, ms) => {
    drop();
    become("waiting", reason, Date.now() + ms);
    timer = setTimeout(connect, ms);
  };

  const link = {
    /** @type {Status} */
    status: { state: "idle", reason: "", retryAt: 0 },

    start() {
      if (link.status.state === "idle") connect();
    },

    /** Let go; `start` begins again. */
    stop() {
      if (link.status.state === "closed") return;
      drop();
      become("idle");
    },

    /** @param {string} reason */
    close(reason) {
      drop();
      become("closed", reason);
    },

    /** The network is back, or somebody looks at the page again. */
    hurry() {
      if (link.status.state === "waiting") connect();
      else if (!current || Date.now() - current.heardAt < DOUBTFUL_MS) climb();
      else {
        current.heardAt = 0;
        link.renew();
      }
    },

    /** What the connection was opened with has changed: open one anew, then drop the old one. */
    renew() {
      const used = current?.transport;
      if (used) run([used, ...chooser.order().filter((one) => one !== used)]);
      else if (link.status.state === "connecting") connect();
    },

    /**
     * Send a command on the running connection.
     *
     * @param {object} command
     * @returns {boolean} false if it cannot be sent
     */
    send: (command) => !giveUp && !!current?.send(command),
  };
  return link;
}
