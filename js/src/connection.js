/** One connection over one transport: watches over its silence, and counts what proves it. */

/**
 * @typedef {import("./frames.js").Frame} Frame
 * @typedef {import("./transports/face.js").Transport} Transport
 * @typedef {import("./transports/face.js").Request} Request
 * @typedef {import("./transports/face.js").End} End
 * @typedef {import("./transports/face.js").Open} Open
 *
 * @typedef {object} Connection
 * @property {Transport} transport
 * @property {number} frames how many have come
 * @property {number} heardAt when the last one came, in milliseconds of the wall; 0: none since it is in doubt
 * @property {(command: object) => boolean} send a command; false if the transport goes one way only
 * @property {() => void} close
 *
 * @typedef {(connection: Connection, frame: Frame | undefined, end?: End) => void} Report gets each
 *   frame, then the end; nothing after `close`
 */

// Every stream says `sync` at once; what says nothing for so long will not.
const FIRST_FRAME_MS = 10_000;

/**
 * @param {Transport} transport
 * @param {(transport: Transport) => Promise<Request>} prepare may fetch a credential; rejects with
 *   an `End`
 * @param {Report} report
 * @returns {Connection}
 */
export function connect(transport, prepare, report) {
  let closed = false;
  /** @type {Open | undefined} */
  let open;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let watchdog;

  /** @type {Connection} */
  const connection = {
    transport,
    frames: 0,
    heardAt: 0,
    send(command) {
      open?.send?.(command);
      return !!open?.send;
    },
    close() {
      closed = true;
      clearTimeout(watchdog);
      open?.close();
    },
  };

  /** @param {unknown} why an `End`, or what was thrown */
  const end = (why) => {
    if (closed) return;
    connection.close();
    const known = /** @type {End | undefined} */ (why);
    report(connection, undefined, known?.reason ? known : { reason: String(why) });
  };

  /** @param {number} ms */
  const watch = (ms) => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => end({ reason: "silent" }), ms);
  };

  /** @param {Frame} frame */
  const take = (frame) => {
    if (closed) return;
    connection.frames += 1;
    connection.heardAt = Date.now();
    watch(transport.silenceMs);
    report(connection, frame);
  };

  watch(FIRST_FRAME_MS);
  prepare(transport)
    .then((request) => {
      if (closed) return;
      open = transport.open(request, { frame: take, end });
      if (closed) open.close();
    })
    .catch(end);
  return connection;
}
