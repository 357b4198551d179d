/**
 * MQTT 5.0 over WebSocket, by MQTT.js, which the page brings along: `mqtt(mqttjs)`.
 *
 * What MQTT has no field for is said in user properties: `reddot: 1` asks for the id, offset and
 * cursor of each publication, `cursor` on SUBSCRIBE resumes, `inbox: 1` adds the user's inbox.
 */

import { frameOf } from "../frames.js";

/**
 * @typedef {import("./face.js").Transport} Transport
 * @typedef {import("./face.js").Request} Request
 * @typedef {import("./face.js").Sink} Sink
 * @typedef {import("../frames.js").Frame} Frame
 *
 * @typedef {any} MqttJs what `import * as mqttjs from "mqtt"` gives
 * @typedef {Record<string, string | string[]>} Said user properties
 */

const HEARTBEAT_S = 25;
const CONNECT_MS_MAX = 10_000;
/** MQTT 5.0 section 3.14.2.1: not authorized. */
const NOT_AUTHORIZED = 0x87;
/** Everybody who has an inbox may listen to it, so that there is something to subscribe to. */
const EVERYONE = "everyone";
const BADGE = /^users\/[^/]+\/badge$/;
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * @param {MqttJs | (() => Promise<MqttJs>)} library MQTT.js 5, or what loads it when it is needed
 * @returns {Transport}
 */
export function mqtt(library) {
  return {
    name: "mqtt",
    silenceMs: 2.5 * HEARTBEAT_S * 1000,
    ticket: true,

    open(request, sink) {
      let closed = false;
      let close = () => {};
      const load = async () => {
        const loaded = typeof library === "function" ? await library() : library;
        if (!closed) close = connect(loaded.default ?? loaded, request, sink);
      };
      load().catch(sink.end);
      return {
        close: () => {
          closed = true;
          close();
        },
      };
    },
  };
}

/**
 * @param {MqttJs} library
 * @param {Request} request
 * @param {Sink} sink
 */
export function connect(library, { address, cursor }, sink) {
  const url = address("../mqtt");
  const filters = url.searchParams.getAll("topic");
  const inbox = url.searchParams.get("inbox") !== "false";
  url.searchParams.delete("topic");
  url.protocol = url.protocol.replace("http", "ws");
  const client = library.connect(url.href, {
    protocolVersion: 5,
    clean: true,
    keepalive: HEARTBEAT_S,
    connectTimeout: CONNECT_MS_MAX,
    reconnectPeriod: 0, // The link reconnects.
    resubscribe: false,
    timerVariant: "native", // The other one starts a worker from a blob, which a policy may forbid.
    properties: { userProperties: { reddot: "1" } },
  });

  /** @param {string | undefined} from none: from now on */
  const subscribe = (from) => {
    // Never empty: of an empty object MQTT.js makes a malformed packet.
    const userProperties = { reddot: "1", ...(from && { cursor: from }), ...(inbox && { inbox: "1" }) };
    const wanted = filters.length ? filters : [EVERYONE];
    client.subscribe(wanted, { qos: 0, properties: { userProperties } }, (/** @type {unknown} */ error) => {
      if (error) sink.end(error);
    });
  };

  client.on("packetreceive", (/** @type {any} */ packet) => {
    if (packet.cmd === "suback") {
      const refused = packet.granted.find((/** @type {number} */ code) => code > 2);
      if (refused) return sink.end(ending("subscription refused", refused));
      const sync = syncOf(packet.properties?.userProperties ?? {});
      sink.frame(sync);
      // The old place means nothing in another log: ask where this one is.
      if (sync.gaps.some((/** @type {any} */ gap) => gap.reason === "epoch")) subscribe(undefined);
      // Nothing but data proves a connection, and the first heartbeat is far away.
      else client.sendPing();
    } else if (packet.cmd === "pingresp") {
      sink.frame({ type: "heartbeat" });
    }
  });
  client.on("connect", () => subscribe(cursor));
  client.on("message", (/** @type {string} */ topic, /** @type {Uint8Array} */ payload, /** @type {any} */ packet) => {
    const said = packet.properties?.userProperties ?? {};
    gapsOf(said.gap).forEach(sink.frame);
    sink.frame(publicationOf(topic, payload, said));
  });
  client.on("disconnect", (/** @type {any} */ { reasonCode, properties }) => {
    const { retry_ms } = properties?.userProperties ?? {};
    if (retry_ms) sink.frame({ type: "reconnect", reason: "drain", retry_ms: Number(retry_ms) });
    else sink.end(ending("disconnected", reasonCode));
  });
  client.on("error", (/** @type {any} */ error) => sink.end(ending(error.message, error.code)));
  client.on("close", () => sink.end({ reason: "connection lost" }));
  return () => {
    client.removeAllListeners();
    client.on("error", () => {}); // What fails after the end interests nobody, and must not throw.
    client.end(true);
  };
}

/**
 * @param {string} what
 * @param {unknown} code a reason code of MQTT
 * @returns {import("./face.js").End}
 */
function ending(what, code) {
  const known = typeof code === "number";
  return { reason: known ? `${what}, 0x${code.toString(16)}` : what, status: code === NOT_AUTHORIZED ? 401 : 0 };
}

/**
 * What a SUBACK says of continuity: `gap` is a reason and a topic, and may come repeatedly.
 *
 * @param {Said} said
 * @returns {Frame}
 */
function syncOf({ gap, cursor }) {
  const gaps = gapsOf(gap);
  return { type: "sync", cursor, complete: !gaps.length, gaps };
}

/** A reason and a topic each. @param {string | string[]} [said] */
function gapsOf(said = []) {
  return [said].flat().map((text) => {
    const space = text.indexOf(" ");
    return { type: "gap", reason: text.slice(0, space), topic: text.slice(space + 1) };
  });
}

/**
 * A PUBLISH as the frame that another transport would have carried.
 *
 * @param {string} topic
 * @param {Uint8Array} payload
 * @param {Said} said
 * @returns {Frame}
 */
export function publicationOf(topic, payload, said) {
  if (BADGE.test(topic) && !said.id) return frameOf("badge", decoder.decode(payload), "");
  const { id, offset, cursor, event = "message", time } = said;
  return { type: "publication", cursor, topic, id, offset: offset && Number(offset), event, time, data: dataOf(payload) };
}

/**
 * JSON, or what is none in the form in which the other transports carry it.
 *
 * @param {Uint8Array} payload
 */
function dataOf(payload) {
  try {
    return JSON.parse(decoder.decode(payload));
  } catch {
    return { base64: btoa(Array.from(payload, (byte) => String.fromCharCode(byte)).join("")) };
  }
}
