/** What is pure: backoff, filters, offsets, parsers. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { BACKOFF_MAX_MS, backoff, retryAfter } from "../src/backoff.js";
import { EVENT_CHARS_MAX, eventParser, framesOf } from "../src/frames.js";
import { matches, Offsets, TOPICS_MAX } from "../src/topics.js";
import { claimsOf } from "../src/api.js";

test("backoff doubles from half a second to thirty, with full jitter", () => {
  assert.deepEqual([0, 1, 2, 6, 60].map((attempt) => backoff(attempt, () => 1)), [500, 1000, 2000, BACKOFF_MAX_MS, BACKOFF_MAX_MS]);
  assert.equal(backoff(60, () => 0), 50);
});

test("Retry-After is seconds or a date, and nothing else", () => {
  assert.equal(retryAfter("7"), 7000);
  assert.equal(retryAfter("soon"), undefined);
  assert.equal(retryAfter(null), undefined);
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
  const answer = { cursor: "c", complete: false, gaps: [{ topic: "a", reason: "trimmed" }], publications: [{ topic: "a" }], badge: { as_of: 1 } };
  assert.deepEqual(framesOf(answer, true).map(({ type }) => type), ["sync", "publication", "badge", "heartbeat"]);
  assert.deepEqual(framesOf(answer, false).map(({ type }) => type), ["gap", "publication", "badge", "heartbeat"]);
});

test("what tells users apart is the sub of the token, whatever else the text is", () => {
  const token = `x.${Buffer.from('{"sub":"zoë"}').toString("base64url")}.y`;
  assert.equal(claimsOf(token).sub, Buffer.from("zoë").toString("latin1"));
  for (const nonsense of ["", "a.b", "a.!!.c", null, undefined]) assert.equal(claimsOf(nonsense).sub, undefined);
});
