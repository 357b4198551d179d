// The npm package `eventsource`, unchanged: one line of JSON on stdout for each event.
//
// node eventsource_client.mjs URL [EVENT …]   (event names besides the server's own)

import { EventSource } from "eventsource";

const [url, ...more] = process.argv.slice(2);
const NAMES = ["sync", "publication", "gap", "reconnect", "heartbeat", "message"];

function print(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

const source = new EventSource(url);
for (const type of [...NAMES, ...more]) {
  source.addEventListener(type, ({ data, lastEventId }) => print({ type, data, id: lastEventId }));
}
source.addEventListener("error", ({ code }) =>
  print({ type: "error", code: code ?? null, closed: source.readyState === EventSource.CLOSED }),
);
