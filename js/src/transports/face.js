/**
 * The one face of all transports. A transport opens one connection and reports; it neither
 * reconnects nor knows of cursors and states, which is the business of `link.js`.
 *
 * @typedef {import("../frames.js").Frame} Frame
 *
 * @typedef {object} Request what a connection is opened with
 * @property {(path: string, parameters?: Record<string, string | number>) => URL} address with the
 *   filters, and the ticket if the transport asked for one
 * @property {string | undefined} cursor where to resume; none: from now on
 * @property {Record<string, string>} headers the credential, for transports that can send it
 * @property {RequestCredentials} credentials
 *
 * @typedef {object} End why a connection is over
 * @property {string} reason a code of the error table, or words
 * @property {number} [status] of HTTP, if there was an answer
 * @property {number} [retryMs] how long the server asks to wait
 * @property {boolean} [final] whether the server says that trying again is of no use
 *
 * @typedef {object} Sink where a transport reports to
 * @property {(frame: Frame) => void} frame
 * @property {(end: End) => void} end at most once; never after `close`
 *
 * @typedef {object} Open an open connection
 * @property {() => void} close
 * @property {(command: object) => void} [send] commands of a transport that goes both ways
 *
 * @typedef {object} Transport
 * @property {string} name as the server counts it
 * @property {number} silenceMs longest silence of a connection that is alive
 * @property {boolean} [ticket] whether a credential must be in the URL
 * @property {(request: Request, sink: Sink) => Open} open may throw
 */

/**
 * What an HTTP answer other than 200 means.
 *
 * @param {Response} answer
 * @param {(value: string | null) => number | undefined} retryAfter
 * @returns {Promise<End>}
 */
export async function endOf(answer, retryAfter) {
  const problem = await answer.json().catch(() => ({}));
  return {
    reason: problem.code ?? `HTTP ${answer.status}`,
    status: answer.status,
    retryMs: retryAfter(answer.headers.get("retry-after")),
    final: problem.retry === false,
  };
}
