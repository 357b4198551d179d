/**
 * MQTT 5.0 over WebSocket, by MQTT.js, as any MQTT program in a browser would (see `transports.js`
 * for what a transport is). Nothing here is special to Reddot but the user properties, which say
 * what MQTT has no field for: the message's id, offset and the cursor; and ask for the inbox.
 */

import { address, FILTER } from "./server.js";

const KEEP_ALIVE_S = 15;
const CONNECT_MS_MAX = 5_000;
const DECODER = new TextDecoder();
const BADGE = /^users\/[^/]+\/badge$/;

export const HEARTBEAT_MS = KEEP_ALIVE_S * 1000;

/** 342 KB: fetched with the first connection, beside the other panels' streams. */
const library = () => import("./vendor/mqtt.js");

function options() {
  return {
    protocolVersion: 5,
    keepalive: KEEP_ALIVE_S,
    connectTimeout: CONNECT_MS_MAX,
    reconnectPeriod: 0, // The link reconnects, so that faults look alike in all panels.
    timerVariant: "native", // The other one starts a worker from a blob, which the policy forbids.
    properties: { userProperties: { reddot: "1" } },
  };
}

function subscription(cursor) {
  const said = { reddot: "1", inbox: "1", ...(cursor === undefined ? {} : { cursor }) };
  return { qos: 0, properties: { userProperties: said } };
}

/** A PUBLISH as the frame that another transport would have carried. */
function publication(topic, payload, { properties: { userProperties: said = {} } = {} }) {
  const { id, offset, cursor, event = "message", time } = said;
  if (BADGE.test(topic)) return { type: "badge", ...JSON.parse(DECODER.decode(payload)) };
  const place = offset === undefined ? {} : { offset: Number(offset), cursor };
  return { type: "publication", ...place, topic, id, event, time, data: JSON.parse(DECODER.decode(payload)) };
}

/** What a SUBACK says about continuity: `gap` is a reason and a topic, and may come repeatedly. */
function sync({ properties: { userProperties: said = {} } = {} }, cursor) {
  const gaps = [said.gap ?? []].flat().map((text) => {
    const [reason, topic] = text.split(" ", 2);
    return { topic, reason };
  });
  return { type: "sync", cursor: cursor ?? said.cursor, complete: !gaps.length, gaps };
}

function connect({ connect: dial }, cursor, sink, ticket) {
  const url = address("../mqtt", { ticket });
  url.protocol = url.protocol.replace("http", "ws");
  const client = dial(url.href, options());
  let acknowledged = {};
  client.on("packetreceive", (packet) => {
    if (packet.cmd === "suback") acknowledged = packet;
    else if (packet.cmd === "pingresp") sink.frame({ type: "heartbeat" });
  });
  client.on("connect", () => {
    client.subscribe(FILTER, subscription(cursor), (error) => {
      if (error) sink.end(String(error));
      else sink.frame(sync(acknowledged, cursor));
    });
  });
  client.on("message", (topic, payload, packet) => sink.frame(publication(topic, payload, packet)));
  client.on("disconnect", ({ reasonCode }) => sink.end(`disconnected, 0x${reasonCode.toString(16)}`));
  client.on("error", (error) => sink.end(String(error)));
  client.on("close", () => sink.end("connection lost"));
  return () => {
    client.removeAllListeners();
    client.on("error", () => {}); // What fails after the end interests nobody, and must not throw.
    client.end(true);
  };
}

export function openMqtt(cursor, sink, ticket) {
  let closed = false;
  let close = () => (closed = true);
  sink.request();
  library()
    .then((mqtt) => {
      if (!closed) close = connect(mqtt.default ?? mqtt, cursor, sink, ticket);
    })
    .catch((error) => sink.end(String(error)));
  return () => close();
}
