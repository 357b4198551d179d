/** What is pure: backoff, filters, offsets, parsers. */

import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { BACKOFF_MAX_MS, backoff, jitter, retryAfter } from "../src/backoff.js";
import { EVENT_CHARS_MAX, eventParser, framesOf } from "../src/frames.js";
import { timed } from "../src/diagnose.js";
import { judge, write } from "../src/report.js";
import { connect, publicationOf } from "../src/transports/mqtt.js";
import { matches, Offsets, TOPICS_MAX } from "../src/topics.js";
import { claimsOf } from "../src/api.js";

test("backoff doubles from half a second to thirty, with full jitter", ({ mock }) => {
  mock.method(Math, "random", () => 1);
  assert.deepEqual([0, 1, 2, 6, 60].map((attempt) => backoff(attempt)), [500, 1000, 2000, BACKOFF_MAX_MS, BACKOFF_MAX_MS]);
  assert.equal(jitter(4_000), 4_000);
  mock.method(Math, "random", () => 0);
  assert.equal(jitter(BACKOFF_MAX_MS), 50);
});

test("Retry-After is seconds or a date, and nothing else", () => {
  assert.equal(retryAfter("7"), 7000);
  assert.equal(retryAfter("soon"), undefined);
  for (const nothing of [null, "", "-1"]) assert.equal(retryAfter(nothing), undefined);
  const ms = retryAfter(new Date(Date.now() + 60_000).toUTCString());
  assert.ok(ms !== undefined && ms > 50_000 && ms <= 60_000);
});

test("filters select as on the server", () => {
  const yes = [["a", "a"], ["a/#", "a"], ["a/#", "a/b/c"], ["#", "a"], ["+", "a"], ["a/+", "a/b"], ["a/+", "a/"], ["+/+", "/a"], ["users/+", "users/1"], ["a/+/c", "a/b/c"]];
  const no = [["a", "b"], ["a/+", "a"], ["a/+", "a/b/c"], ["+", "a/b"], ["#", "users/1"], ["+/1", "users/1"], ["#", "$x"], ["a/b", "a"], ["a/+/c", "a/b/d"]];
  for (const [filter, topic] of yes) assert.ok(matches(filter, topic), `${filter} ${topic}`);
  for (const [filter, topic] of no) assert.ok(!matches(filter, topic), `${filter} ${topic}`);
});

test("what came before is known by its offset; what has none is new", () => {
  const offsets = new Offsets();
  const seen = [1, 2, 2, 1, 5, 4, undefined, undefined].map((offset) => offsets.isNew("a", offset));
  assert.deepEqual(seen, [true, true, false, false, true, false, true, true]);
  assert.ok(offsets.isNew("b", 1));
  offsets.clear();
  assert.ok(offsets.isNew("a", 1));
});

test("one topic more than the limit forgets the one that was quiet longest", () => {
  const offsets = new Offsets();
  for (let number = 0; number < TOPICS_MAX; number += 1) offsets.isNew(`t${number}`, 1);
  offsets.isNew("t0", 2);
  offsets.isNew("more", 1);
  assert.ok(!offsets.isNew("t0", 2));
  assert.ok(offsets.isNew("t1", 1));
});

/**
 * @param {string[]} chunks
 * @returns {any[]}
 */
function parse(chunks) {
  /** @type {any[]} */
  const frames = [];
  chunks.forEach(eventParser((frame) => frames.push(frame)));
  return frames;
}

test("events are the same however they are cut", () => {
  const text = ': hello\r\nevent: sync\r\nid: c1\r\ndata: {"cursor":"c1"}\r\n\r\nevent: heartbeat\nid: c2\ndata: {}\n\ndata:{"x":\ndata: 1}\nevent:badge\n\nevent: lost\n\nretry: 5\ndata: {"half":1}';
  const whole = [{ type: "sync", cursor: "c1" }, { type: "heartbeat", cursor: "c2" }, { type: "badge", x: 1 }];
  assert.deepEqual(parse([text]), whole);
  for (let at = 0; at < text.length; at += 1) assert.deepEqual(parse([text.slice(0, at), text.slice(at)]), whole);
  assert.deepEqual(parse([...text]), whole);
  assert.deepEqual(parse([...text.replaceAll("\r\n", "\r")]), whole);
});

test("an event without end is not kept without end", () => {
  const parser = eventParser(() => {});
  parser("data: ".padEnd(EVENT_CHARS_MAX, "x"));
  assert.throws(() => parser("x"), RangeError);
});

test("a poll's answer becomes the frames of a stream", () => {
  const answer = { cursor: "c", complete: false, gaps: [{ topic: "a", reason: "trimmed" }], publications: [{ topic: "a", cursor: "b" }], badge: { as_of: 1 } };
  const frames = framesOf(answer);
  assert.deepEqual(frames.map(({ type }) => type), ["sync", "publication", "heartbeat"]);
  assert.deepEqual(frames[0], { type: "sync", complete: answer.complete, gaps: answer.gaps, badge: answer.badge });
  assert.deepEqual(frames.map(({ cursor }) => cursor), [undefined, answer.publications[0].cursor, answer.cursor]);
});

test("what tells users apart is the sub of the token, whatever else the text is", () => {
  const token = `x.${Buffer.from('{"sub":"zoë"}').toString("base64url")}.y`;
  assert.equal(claimsOf(token).sub, Buffer.from("zoë").toString("latin1"));
  for (const nonsense of ["", "a.b", "a.!!.c", null, undefined]) assert.equal(claimsOf(nonsense).sub, undefined);
});

const bytes = (/** @type {string} */ text) => new TextEncoder().encode(text);

test("a PUBLISH is the frame that another transport would have carried", () => {
  const said = { id: "i", offset: "7", cursor: "c", event: "tick", time: "t" };
  const frame = { type: "publication", cursor: "c", topic: "a/b", id: "i", offset: 7, event: "tick", time: "t", data: { n: 1 } };
  assert.deepEqual(publicationOf("a/b", bytes('{"n":1}'), said), frame);
  const ephemeral = publicationOf("a", bytes("1"), { id: "i", time: "t" });
  assert.deepEqual([ephemeral.offset, ephemeral.event, ephemeral.data], [undefined, "message", 1]);
  assert.deepEqual(publicationOf("a", new Uint8Array([0xff, 0x00]), said).data, { base64: "/wA=" });
  assert.deepEqual(publicationOf("users/7/badge", bytes('{"as_of":1,"unread":2}'), {}), { type: "badge", as_of: 1, unread: 2 });
  assert.equal(publicationOf("users/7/badge", bytes("{}"), said).type, "publication");
});

test("a DISCONNECT says when to come back, or why not", () => {
  const library = Object.assign(new EventEmitter(), { connect: () => library });
  /** @type {unknown[]} */
  const seen = [];
  const sink = { frame: (/** @type {unknown} */ frame) => seen.push(frame), end: (/** @type {unknown} */ end) => seen.push(end) };
  connect(library, { address: () => new URL("http://a.example/mqtt"), cursor: undefined, init: { headers: {} } }, sink);
  library.emit("disconnect", { reasonCode: 0x8b, properties: { userProperties: { retry_ms: "1200" } } });
  library.emit("disconnect", { reasonCode: 0x87 });
  assert.deepEqual(seen, [
    { type: "reconnect", reason: "drain", retry_ms: 1200 },
    { reason: "disconnected, 0x87", status: 401 },
  ]);
});

test("pieces that come at once were held back", () => {
  const sent = [0, 200, 400, 600, 800];
  const beats = (/** @type {number[]} */ arrived) => arrived.map((at, i) => ({ arrived: at, sent: sent[i] }));
  assert.equal(timed(beats([10, 215, 405, 630, 820]), 0).result, "works");
  const held = timed(beats([815, 815, 816, 816, 816]), 0);
  assert.deepEqual([held.result, held.ms], ["held back", 815]);
  assert.match(held.why, /over 800 ms came within 1 ms/);
});

test("a report names what is in the way, and what the client made of it", () => {
  const works = { result: /** @type {const} */ ("works"), ms: 3, why: "" };
  const report = {
    server: "https://a",
    page: "https://b",
    at: "now",
    browser: "x",
    network: { reached: true, online: true, why: "", latencyMs: 3, protocol: "h2", encoding: "gzip", via: "1.1 *" },
    seen: { http_version: "1.1", headers: { via: "1.1 *" } },
    cookies: { enabled: true, sent: false },
    transports: {
      long_poll: works,
      sse: { ...works, result: /** @type {const} */ ("held back") },
      mqtt: { ...works, result: /** @type {const} */ ("blocked") },
      websocket: { ...works, result: /** @type {const} */ ("blocked") },
    },
    client: {
      state: "live",
      transport: "long_poll",
      reason: "",
      trail: [
        { at: 0, transport: "sse", what: /** @type {const} */ ("proved") },
        { at: 1, transport: "websocket", what: /** @type {const} */ ("demoted"), reason: "closed, 1006" },
        { at: 2, transport: "websocket", what: /** @type {const} */ ("trying") },
      ],
    },
    verdicts: [],
    text: "",
  };
  const verdicts = judge(report);
  assert.match(verdicts[0], /holds back sse/);
  assert.match(verdicts[1], /WebSocket upgrades do not get through/);
  assert.match(verdicts[2], /compresses answers \(gzip\)/);
  assert.deepEqual(verdicts.slice(3), ["The client has demoted websocket: closed, 1006."]);
  const text = write({ ...report, verdicts });
  for (const part of ["server      https://a", "online, h2, 3 ms for an answer", "sse         held back", "00:00:00.001 websocket demoted closed, 1006"]) {
    assert.ok(text.includes(part), `${part} in\n${text}`);
  }
  const away = { ...report, network: { ...report.network, reached: false, why: "no answer" } };
  assert.deepEqual(judge(away), ["https://a cannot be used from here: no answer."]);
});
