/**
 * The transports, one function each; that of MQTT, which needs a library, is in `mqtt.js`.
 *
 * A transport is `{open(cursor, sink, visitor), heartbeatMs?}`; `open` returns what closes it. Whatever
 * the wire, the sink gets the same frames. Reconnecting is the business of `link.js`.
 */

import { HEARTBEAT_MS, openMqtt } from "./mqtt.js";
import { address, FILTER } from "./server.js";

const HEARTBEAT_STREAM_MS = 15_000;
const HEARTBEAT_WEBSOCKET_MS = 25_000;
const LONG_POLL_WAIT_S = 25;
const ANSWER_MS_MAX = 15_000;

function query(cursor, ticket) {
  return { topic: FILTER, ticket, ...(cursor === undefined ? {} : { cursor }) };
}

/** What cannot set header fields is let in by a one-time ticket, which has to be fetched first. */
export function ticketed(open) {
  return (cursor, sink, visitor) => {
    let closed = false;
    let close = () => (closed = true);
    visitor
      .ticket()
      .then((ticket) => {
        if (!closed) close = open(cursor, sink, ticket);
      })
      .catch((error) => sink.end(String(error)));
    return () => close();
  };
}

/** EventSource would reconnect by itself; here the link does, so that faults look alike. */
function openSse(cursor, sink, ticket) {
  const source = new EventSource(address("sse", query(cursor, ticket)));
  for (const type of ["sync", "publication", "badge", "gap", "reconnect", "heartbeat"]) {
    source.addEventListener(type, (event) => {
      const frame = { ...JSON.parse(event.data), type };
      // A heartbeat carries its cursor as the event's id alone.
      sink.frame(type === "heartbeat" ? { ...frame, cursor: event.lastEventId } : frame);
    });
  }
  source.onerror = () => sink.end("connection lost");
  sink.request();
  return () => source.close();
}

function openWebSocket(cursor, sink, ticket) {
  const url = address("ws", query(cursor, ticket));
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url, "reddot.v1");
  socket.onmessage = (event) => sink.frame(JSON.parse(event.data));
  socket.onclose = (event) => sink.end(`closed, ${event.code}`);
  sink.request();
  return () => {
    socket.onmessage = socket.onclose = null;
    socket.close();
  };
}

/**
 * A new element per connection: setting `src` again would trap the Back button in its history.
 * `load` fires at a clean end only; of a cut connection a frame says nothing in any browser, and
 * the link's watchdog has to find out.
 */
function openIframe(cursor, sink, ticket) {
  const frame = document.createElement("iframe");
  const listen = (event) => {
    if (event.source === frame.contentWindow) sink.frame(event.data);
  };
  frame.hidden = true;
  frame.title = "iframe stream";
  frame.setAttribute("sandbox", "allow-scripts");
  frame.src = address("iframe", query(cursor, ticket));
  frame.onload = frame.onerror = () => sink.end("stream ended");
  addEventListener("message", listen);
  document.body.append(frame);
  sink.request();
  return () => {
    removeEventListener("message", listen);
    frame.onload = frame.onerror = null;
    frame.remove();
  };
}

/** A pause that an abort ends early. */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}

async function ask(url, cursor, token, deadlineMs, signal) {
  const answer = await fetch(url, {
    headers: { Authorization: `Bearer ${token}`, ...(cursor === undefined ? {} : { "If-None-Match": `"${cursor}"` }) },
    signal: AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]),
    cache: "no-store",
  });
  if (answer.status === 304) {
    const etag = answer.headers.get("etag");
    return { cursor: etag?.replaceAll(/^W\/|"/g, ""), complete: true, publications: [] };
  }
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  return answer.json();
}

/** Turn one answer into the frames that a stream would have carried. */
function report({ cursor, complete, gaps = [], publications, badge }, first, sink) {
  if (first) sink.frame({ type: "sync", complete, gaps });
  else if (!complete) for (const gap of gaps) sink.frame({ ...gap, type: "gap" });
  for (const publication of publications) sink.frame({ ...publication, type: "publication" });
  if (badge) sink.frame({ ...badge, type: "badge" });
  sink.frame({ type: "heartbeat", cursor });
}

/**
 * Polling, short or long. The first request never waits: it says where "now" is, so that nothing
 * can slip through before the first long one is held.
 */
async function poll(path, cursor, sink, visitor, { waitS, pauseMs, signal }) {
  const token = await visitor.token();
  for (let first = true; !signal.aborted; first = false) {
    const wait = first ? 0 : waitS;
    const url = address(path, { topic: FILTER, ...(waitS ? { wait } : {}) });
    sink.request();
    const answer = await ask(url, cursor, token, wait * 1000 + ANSWER_MS_MAX, signal);
    cursor = answer.cursor ?? cursor;
    report({ ...answer, cursor }, first, sink);
    if (pauseMs) await pause(pauseMs(), signal);
  }
}

function polling(path, options) {
  return (cursor, sink, visitor) => {
    const stop = new AbortController();
    poll(path, cursor, sink, visitor, { ...options, signal: stop.signal }).catch((error) => sink.end(String(error)));
    return () => stop.abort();
  };
}

/** @param {() => number} pollMs how long short polling pauses, asked before each pause */
export function makeTransports(pollMs) {
  return {
    short_poll: { open: polling("poll", { waitS: 0, pauseMs: pollMs }) },
    long_poll: { open: polling("longpoll", { waitS: LONG_POLL_WAIT_S }) },
    iframe: { open: ticketed(openIframe), heartbeatMs: HEARTBEAT_STREAM_MS },
    sse: { open: ticketed(openSse), heartbeatMs: HEARTBEAT_STREAM_MS },
    mqtt: { open: ticketed(openMqtt), heartbeatMs: HEARTBEAT_MS },
    websocket: { open: ticketed(openWebSocket), heartbeatMs: HEARTBEAT_WEBSOCKET_MS },
  };
}
