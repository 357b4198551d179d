/** Server-sent events, read by the browser's own `EventSource`. The link reconnects, not it. */

import { frameOf } from "../frames.js";

/** @type {import("./face.js").Transport["open"]} */
export function openEventSource({ address, cursor, init }, sink) {
  const source = new EventSource(address("sse", { cursor }), { withCredentials: init.credentials === "include" });
  for (const type of ["sync", "publication", "badge", "gap", "reconnect", "heartbeat"]) {
    source.addEventListener(type, ({ data, lastEventId }) => sink.frame(frameOf(type, data, lastEventId)));
  }
  source.onerror = () => sink.end({ reason: "connection lost" });
  return { close: () => source.close() };
}
