/**
 * The one face of all transports. A transport opens one connection and reports; it neither
 * reconnects nor knows of cursors and states, which is the business of `link.js`.
 *
 * @typedef {import("../frames.js").Frame} Frame
 *
 * @typedef {object} Request what a connection is opened with
 * @property {(path: string, parameters?: Record<string, unknown>) => URL} address with the filters,
 *   and the ticket if the transport asked for one
 * @property {string | undefined} cursor where to resume; none: from now on
 * @property {{headers: Record<string, string>, credentials?: RequestCredentials}} init the
 *   credential, for transports that can send it
 *
 * @typedef {object} End why a connection is over
 * @property {string} reason a code of the error table, or words
 * @property {number} [status] of HTTP, if there was an answer
 * @property {number} [retryMs] how long the server asks to wait
 * @property {boolean} [final] whether the server says that trying again is of no use
 *
 * @typedef {object} Sink where a transport reports to; deaf once the connection is closed
 * @property {(frame: Frame) => void} frame
 * @property {(end: unknown) => void} end with an `End`, or what was thrown
 *
 * @typedef {object} Open an open connection
 * @property {() => void} close
 * @property {(command: object) => void} [send] commands of a transport that goes both ways
 *
 * @typedef {object} Transport
 * @property {string} name as the server counts it
 * @property {number} silenceMs longest silence of a connection that is alive
 * @property {boolean} [ticket] whether a credential must be in the URL
 * @property {() => Promise<unknown>} [load] what it needs to be opened; called once there is a
 *   connection, so that it is there when there is none
 * @property {(request: Request, sink: Sink) => Open} open may throw
 */

/**
 * A connection that is a task: over when the task is, and closed by its signal.
 *
 * @param {Sink} sink
 * @param {(signal: AbortSignal) => Promise<unknown>} task returns or throws why it is over
 * @returns {Open}
 */
export function run(sink, task) {
  const stop = new AbortController();
  task(stop.signal).then(sink.end, sink.end);
  return { close: () => stop.abort() };
}
