/** Server-sent events, read with `fetch`, so that a credential may be in a header. */

import { ask } from "../api.js";
import { eventParser } from "../frames.js";
import { run } from "./face.js";

/** @type {import("./face.js").Transport["open"]} */
export function openSse({ address, cursor, init }, sink) {
  return run(sink, async (signal) => {
    const { body } = await ask(address("sse", { cursor }), { ...init, signal });
    const reader = /** @type {ReadableStream<Uint8Array>} */ (body).getReader();
    const decoder = new TextDecoder();
    const parse = eventParser(sink.frame);
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { reason: "stream ended" };
      parse(decoder.decode(value, { stream: true }));
    }
  });
}
