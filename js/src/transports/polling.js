/** Polling, short and long: what anything that can fetch can do. */

import { ask } from "../api.js";
import { pause, retryMsOf } from "../backoff.js";
import { framesOf } from "../frames.js";
import { run } from "./face.js";

const WAIT_S = 25;
const PAUSE_MS = 3_000;

/**
 * The cursor is a validator here, so that the answer to "nothing new" has no body.
 *
 * @param {URL} url
 * @param {RequestInit} init
 * @param {string | undefined} cursor
 * @returns {Promise<{answer: any, retryMs: number | undefined}>}
 */
async function poll(url, init, cursor) {
  const validator = cursor && { "if-none-match": `"${cursor}"` };
  const got = await ask(url, { ...init, headers: { ...init.headers, ...validator } });
  const etag = got.headers.get("etag")?.replace(/^W\/|"/g, "");
  const answer = got.status === 304 ? { cursor: etag || cursor, complete: true, publications: [] } : await got.json();
  return { answer, retryMs: retryMsOf(got) };
}

/**
 * The first request of a connection never waits: it says where "now" is, and that polling works.
 *
 * @param {string} path
 * @param {number} waitS
 * @returns {import("./face.js").Transport["open"]}
 */
const polling = (path, waitS) => ({ address, cursor, init }, sink) =>
  run(sink, async (signal) => {
    for (let first = true; ; first = false) {
      const wait = waitS ? (first ? 0 : waitS) : undefined;
      const { answer, retryMs } = await poll(address(path, { wait }), { ...init, signal }, cursor);
      cursor = answer.cursor;
      framesOf(answer).forEach(sink.frame);
      if (retryMs !== undefined) return { reason: "asked to wait", retryMs };
      if (!waitS) await pause(PAUSE_MS);
      signal.throwIfAborted();
    }
  });

export const openLongPoll = polling("longpoll", WAIT_S);
export const openShortPoll = polling("poll", 0);
