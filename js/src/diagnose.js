/**
 * The transport doctor: which transports work from here, what is in the way, and what the client
 * has made of it. It tries each way with a probe of the server, which writes five beats in 0.8 s and
 * needs no credential; it neither reads nor changes anything.
 */

import { judge, round, write } from "./report.js";

/**
 * @typedef {"works" | "held back" | "blocked" | "busy"} Result `held back`: what was written over a
 *   while came all at once; `busy`: the server had no room for another probe
 *
 * @typedef {object} Finding about one transport
 * @property {Result} result
 * @property {number} [ms] from the question to the first data; of a held answer without the holding
 * @property {string} why in words
 *
 * @typedef {object} Patient what is diagnosed: a `Client`, or what has these
 * @property {{url: (path: string) => URL}} api
 * @property {string} state
 * @property {string | undefined} transport
 * @property {string} reason
 * @property {(import("./chooser.js").Note & {at: number})[]} trail
 *
 * @typedef {object} Report
 * @property {string} server
 * @property {string} page its origin
 * @property {string} at RFC 3339
 * @property {string} browser
 * @property {{reached: boolean, online: boolean, why: string, latencyMs?: number, protocol?: string, encoding: string, via: string}} network
 *   `protocol` as the browser names it, such as `h2`; `encoding` and `via`: what proxies made of an
 *   answer
 * @property {Record<string, any> | undefined} seen what arrived at the server, as it says
 * @property {{enabled: boolean, sent: boolean}} cookies
 * @property {Record<string, Finding>} transports by name
 * @property {{state: string, transport: string | undefined, reason: string, trail: Patient["trail"]}} client
 * @property {string[]} verdicts what it comes to, in sentences
 * @property {string} text all of it, to be copied
 *
 * @typedef {{arrived: number, sent: number}} Beat
 */

const PATIENCE_MS = 6_000;
const QUESTIONS = 3;
const SETTLE_MS = 200;
const MQTT_CONNECT = new Uint8Array([0x10, 12, 0, 4, 77, 81, 84, 84, 4, 2, 0, 10, 0, 0]);
const MQTT_CONNACK = 0x20;

/**
 * @param {Patient} client
 * @returns {Promise<Report>}
 */
export async function diagnose(client) {
  const where = (/** @type {string} */ path) => client.api.url(path);
  const network = await reach(where);
  /** @type {Record<string, Finding>} */
  const transports = {};
  if (network.reached) {
    transports.short_poll = { result: "works", ms: network.latencyMs, why: "answered" };
    const probes = { long_poll: longPoll, iframe, sse, mqtt, websocket };
    const found = await Promise.all(Object.values(probes).map((probe) => probe(where)));
    Object.keys(probes).forEach((name, i) => (transports[name] = found[i]));
  }
  const { state, transport, reason, trail } = client;
  const { seen, ...rest } = network;
  /** @type {Report} */
  const report = {
    server: where("").origin,
    page: location.origin,
    at: new Date().toISOString(),
    browser: navigator.userAgent,
    network: rest,
    seen,
    cookies: { enabled: navigator.cookieEnabled, sent: !!seen?.cookie },
    transports,
    client: { state, transport, reason, trail: [...trail] },
    verdicts: [],
    text: "",
  };
  report.verdicts = judge(report);
  report.text = write(report);
  return report;
}

// ---- the network ----

/** @param {(path: string) => URL} where */
async function reach(where) {
  const online = navigator.onLine;
  const nothing = { online, encoding: "", via: "", seen: undefined };
  let latencyMs = Infinity;
  let answer;
  const url = where("diag/seen");
  try {
    for (let question = 0; question < QUESTIONS; question += 1) {
      const asked = performance.now();
      // The page's own cookie is part of the question.
      answer = await fetch(url, { cache: "no-store", credentials: "include", signal: AbortSignal.timeout(PATIENCE_MS) });
      await answer.clone().arrayBuffer();
      latencyMs = Math.min(latencyMs, performance.now() - asked);
    }
    const seen = await /** @type {Response} */ (answer).json();
    const { headers, ok, status } = /** @type {Response} */ (answer);
    if (!ok || !seen.now_ms) return { ...nothing, reached: false, why: `answered HTTP ${status}` };
    const timing = /** @type {any} */ (performance.getEntriesByName(url.href).at(-1));
    const squeezed = timing?.encodedBodySize && timing.encodedBodySize !== timing.decodedBodySize;
    const encoding = headers.get("content-encoding") ?? (squeezed ? "compressed" : "");
    const via = [headers.get("via"), headers.get("x-cache")].filter(Boolean).join("; ");
    return { reached: true, online, why: "", latencyMs, protocol: timing?.nextHopProtocol || undefined, encoding, via, seen };
  } catch (error) {
    return { ...nothing, reached: false, why: await unreached(url, error) };
  }
}

/**
 * Whether it is the network or the origin: an answer that may not be read is an answer.
 *
 * @param {URL} url
 * @param {unknown} error
 */
async function unreached(url, error) {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const answers = await fetch(url, { mode: "no-cors", cache: "no-store", signal }).then(() => true, () => false);
  if (!answers) return `no answer: ${error}`;
  return `the server answers, but not to pages of ${location.origin}: it is not in allowed_origins`;
}

// ---- the probes ----

/**
 * @param {Beat[]} beats
 * @param {number} asked
 * @returns {Finding}
 */
export function timed(beats, asked) {
  const [first, last] = [beats[0], beats[beats.length - 1]];
  const ms = first.arrived - asked;
  const [took, came] = [last.sent - first.sent, last.arrived - first.arrived];
  if (came >= took / 2) return { result: "works", ms, why: "each piece came when it was written" };
  return { result: "held back", ms, why: `what was written over ${round(took)} came within ${round(came)}, after ${round(ms)}` };
}

/**
 * Collect beats until the probe says that it is over, or has taken too long.
 *
 * @param {(beat: (data: any) => void, over: (why: string) => void) => (() => void)} open returns
 *   what closes it
 * @param {number} [enough] beats after which it is over
 * @returns {Promise<Finding>}
 */
function collect(open, enough = Infinity) {
  return new Promise((resolve) => {
    /** @type {Beat[]} */
    const beats = [];
    const asked = performance.now();
    let close = () => {};
    const over = (/** @type {string} */ why) => {
      clearTimeout(timer);
      close();
      resolve(beats.length > 1 || enough === beats.length ? timed(beats, asked) : { result: "blocked", why });
    };
    const timer = setTimeout(() => over("silent"), PATIENCE_MS);
    const beat = (/** @type {any} */ { sent_ms, n, of }) => {
      beats.push({ arrived: performance.now(), sent: sent_ms });
      if (n + 1 === of || beats.length >= enough) over("");
    };
    try {
      close = open(beat, over);
    } catch (error) {
      over(String(error));
    }
  });
}

/** @type {(where: (path: string) => URL) => Promise<Finding>} */
async function longPoll(where) {
  const asked = performance.now();
  try {
    const answer = await fetch(where("diag/longpoll"), { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (answer.status === 429) return BUSY;
    if (!answer.ok) return { result: "blocked", why: `answered HTTP ${answer.status}` };
    const { asked_ms, sent_ms } = await answer.json();
    const held = sent_ms - asked_ms;
    return { result: "works", ms: performance.now() - asked - held, why: `held for ${round(held)}` };
  } catch (error) {
    return { result: "blocked", why: String(error) };
  }
}

/** @type {Finding} */
const BUSY = { result: "busy", why: "the server has no room for another probe; ask again" };

/** @type {(where: (path: string) => URL) => Promise<Finding>} */
async function sse(where) {
  let busy = false;
  const finding = await collect((beat, over) => {
    const stop = new AbortController();
    const read = async () => {
      const answer = await fetch(where("diag/sse"), { cache: "no-store", signal: stop.signal });
      busy = answer.status === 429;
      if (!answer.ok) return over(`answered HTTP ${answer.status}`);
      const decoder = new TextDecoder();
      let rest = "";
      const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return over("ended early");
        const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
        rest = /** @type {string} */ (lines.pop());
        for (const line of lines) if (line.startsWith("data: ")) beat(JSON.parse(line.slice(6)));
      }
    };
    read().catch((error) => over(String(error)));
    return () => stop.abort();
  });
  return busy ? BUSY : finding;
}

/** @type {(where: (path: string) => URL) => Promise<Finding>} */
function iframe(where) {
  return collect((beat, over) => {
    const frame = document.createElement("iframe");
    const listen = (/** @type {MessageEvent} */ { source, data }) => source === frame.contentWindow && beat(data);
    frame.hidden = true;
    frame.title = "Reddot probe";
    frame.setAttribute("sandbox", "allow-scripts");
    frame.src = where("diag/iframe").href;
    // Its messages may still be on their way to this page.
    frame.onload = frame.onerror = () => setTimeout(over, SETTLE_MS, "ended early, or may not be embedded");
    addEventListener("message", listen);
    document.body.append(frame);
    return () => {
      removeEventListener("message", listen);
      frame.onload = frame.onerror = null;
      frame.remove();
    };
  });
}

/**
 * @param {URL} url
 * @param {(socket: WebSocket, beat: (data: any) => void) => void} talk
 * @param {string} [protocol]
 * @param {number} [enough]
 */
function socketProbe(url, talk, protocol, enough) {
  url.protocol = url.protocol.replace("http", "ws");
  return collect((beat, over) => {
    const socket = new WebSocket(url, protocol);
    socket.binaryType = "arraybuffer";
    socket.onclose = ({ code }) => over(`the upgrade does not get through: closed, ${code}`);
    talk(socket, beat);
    return () => {
      socket.onclose = null;
      socket.close();
    };
  }, enough);
}

/** @type {(where: (path: string) => URL) => Promise<Finding>} */
async function websocket(where) {
  const finding = await socketProbe(where("diag/ws"), (socket, beat) => {
    socket.onmessage = ({ data }) => beat(JSON.parse(data));
  });
  if (finding.result !== "blocked") return finding;
  // What becomes of a plain question at the same address tells who it was.
  const status = await fetch(where("diag/ws"), { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) }).then(
    (answer) => answer.status,
    () => 0,
  );
  const who = status === 426 ? "without an upgrade the same address is answered by the server" : `without one: HTTP ${status}`;
  return { ...finding, why: `${finding.why}; ${who}` };
}

/** Any answer to CONNECT will do: a refusal has come through as well. @type {(where: (path: string) => URL) => Promise<Finding>} */
async function mqtt(where) {
  const finding = await socketProbe(
    where("../mqtt"),
    (socket, beat) => {
      socket.onopen = () => socket.send(MQTT_CONNECT);
      socket.onmessage = ({ data }) => {
        if (new Uint8Array(data)[0] === MQTT_CONNACK) beat({ sent_ms: 0 });
      };
    },
    "mqtt",
    1,
  );
  return finding.result === "works" ? { ...finding, why: "CONNECT is answered" } : finding;
}
