/** Server-sent events, read with `fetch`, so that a credential may be in a header. */

import { retryAfter } from "../backoff.js";
import { eventParser } from "../frames.js";
import { endOf } from "./face.js";

/**
 * @param {import("./face.js").Request} request
 * @param {import("./face.js").Sink} sink
 * @param {AbortSignal} signal
 * @returns {Promise<import("./face.js").End>}
 */
async function read(request, sink, signal) {
  const answer = await fetch(request.address("sse", request.cursor ? { cursor: request.cursor } : {}), {
    headers: { ...request.headers, accept: "text/event-stream" },
    credentials: request.credentials,
    cache: "no-store",
    signal,
  });
  if (!answer.ok || !answer.body) return endOf(answer, retryAfter);
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  const parse = eventParser((frame) => signal.aborted || sink.frame(frame));
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { reason: "stream ended" };
    parse(decoder.decode(value, { stream: true }));
  }
}

/** @type {import("./face.js").Transport} */
export const sse = {
  name: "sse",
  silenceMs: 2.5 * 15_000,

  open(request, sink) {
    const stop = new AbortController();
    read(request, sink, stop.signal)
      .catch((error) => ({ reason: String(error) }))
      .then((end) => stop.signal.aborted || (stop.abort(), sink.end(end)));
    return { close: () => stop.abort() };
  },
};
