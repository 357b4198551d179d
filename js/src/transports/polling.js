/** Polling, short and long: what anything that can fetch can do. */

import { retryAfter } from "../backoff.js";
import { framesOf } from "../frames.js";
import { endOf } from "./face.js";

const WAIT_S = 25;
const PAUSE_MS = 3_000;
const ANSWER_MS_MAX = 15_000;

/**
 * @typedef {import("./face.js").Transport} Transport
 * @typedef {import("./face.js").Request} Request
 * @typedef {import("./face.js").Sink} Sink
 * @typedef {import("./face.js").End} End
 */

/**
 * A pause that an abort ends early.
 *
 * @param {number} ms
 * @param {AbortSignal} signal
 */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve(undefined)), { once: true });
  });
}

/**
 * One poll: its answer, or why there is none. The cursor is a validator here, so that the answer
 * to "nothing new" has no body.
 *
 * @param {URL} url
 * @param {Request} request
 * @param {string | undefined} cursor
 * @param {AbortSignal} signal
 * @returns {Promise<{answer?: any, end?: End, retryMs?: number}>}
 */
async function ask(url, { headers, credentials }, cursor, signal) {
  const answer = await fetch(url, {
    headers: cursor ? { ...headers, "if-none-match": `"${cursor}"` } : headers,
    credentials,
    cache: "no-store",
    signal,
  });
  const retryMs = retryAfter(answer.headers.get("retry-after"));
  if (answer.status === 304) {
    const etag = answer.headers.get("etag")?.replace(/^W\/|"/g, "");
    return { answer: { cursor: etag || cursor, complete: true, publications: [] }, retryMs };
  }
  if (!answer.ok) return { end: await endOf(answer, retryAfter) };
  return { answer: await answer.json(), retryMs };
}

/**
 * The first request of a connection never waits: it says where "now" is and that polling works.
 *
 * @param {string} path
 * @param {Request} request
 * @param {Sink} sink
 * @param {AbortController} stop
 * @param {number} waitS
 * @returns {Promise<End>}
 */
async function poll(path, request, sink, stop, waitS) {
  let { cursor } = request;
  for (let first = true; ; first = false) {
    const seconds = first ? 0 : waitS;
    const tooLate = setTimeout(() => stop.abort(new Error("silent")), seconds * 1000 + ANSWER_MS_MAX);
    const url = request.address(path, waitS ? { wait: seconds } : {});
    const { answer, end, retryMs } = await ask(url, request, cursor, stop.signal).finally(() => clearTimeout(tooLate));
    if (end) return end;
    cursor = answer.cursor;
    for (const frame of framesOf(answer, first)) stop.signal.aborted || sink.frame(frame);
    if (retryMs !== undefined) return { reason: "asked to wait", retryMs };
    if (!waitS) await pause(PAUSE_MS, stop.signal);
  }
}

/**
 * @param {string} name
 * @param {string} path
 * @param {number} waitS
 * @returns {Transport}
 */
function polling(name, path, waitS) {
  return {
    name,
    silenceMs: waitS * 1000 + 2 * ANSWER_MS_MAX,
    open(request, sink) {
      const stop = new AbortController();
      let closed = false;
      poll(path, request, sink, stop, waitS)
        .catch((error) => ({ reason: String(error) }))
        .then((end) => closed || sink.end(end));
      return { close: () => ((closed = true), stop.abort()) };
    },
  };
}

export const longPoll = polling("long_poll", "longpoll", WAIT_S);
export const shortPoll = polling("short_poll", "poll", 0);
