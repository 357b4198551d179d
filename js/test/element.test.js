/** The parts of the elements that need no page. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { languages, RedDot, RedDotInbox, RedDotToast } from "../src/element/index.js";
import { safeUrl } from "../src/element/inside/notice.js";
import { ago } from "../src/element/inside/ago.js";
import { times } from "../src/element/inside/snooze.js";
import { texts } from "../src/element/texts.js";

test("on a server the elements can be imported, and nothing is defined", async () => {
  await import("../src/element/define.js");
  assert.deepEqual([RedDot, RedDotInbox, RedDotToast].map(({ name }) => name), ["RedDot", "RedDotInbox", "RedDotToast"]);
});

test("addresses that may be followed, and others", () => {
  Object.assign(globalThis, { document: { baseURI: "https://shop.example/cart/" } });
  /** @type {[unknown, string | undefined][]} */
  const cases = [
    ["https://a.example/x", "https://a.example/x"],
    ["/orders/7", "https://shop.example/orders/7"],
    ["../x?y#z", "https://shop.example/x?y#z"],
    ["mailto:a@b.example", "mailto:a@b.example"],
    ["javascript:alert(1)", undefined],
    [" \u0001JaVa\tScRiPt:alert(1)", undefined],
    ["data:text/html,x", undefined],
    ["vbscript:x", undefined],
    ["blob:https://x/y", undefined],
    ["file:///etc/passwd", undefined],
    ["https://", undefined],
    ["", undefined],
    [null, undefined],
    [{ toString: () => "https://x.example" }, undefined],
  ];
  for (const [value, wanted] of cases) assert.equal(safeUrl(value), wanted, String(value));
  assert.equal(safeUrl("mailto:a@b.example", /^https?:$/), undefined);
});

test("texts are chosen by language, region or not, and by the page before all", () => {
  const name = "{n} new notifications";
  assert.equal(texts("en")(name, { n: 1 }), "1 new notification");
  assert.equal(texts("en-GB")(name, { n: 1200 }), "1,200 new notifications");
  assert.equal(texts("zh-CN")(name, { n: 2 }), "2 条新通知");
  assert.equal(texts("de")("Undo"), "Undo");
  assert.equal(texts("de", { Undo: "Rückgängig" })("Undo"), "Rückgängig");
  languages.pl = { [name]: { one: "{n} powiadomienie", few: "{n} powiadomienia", other: "{n} powiadomień" } };
  assert.deepEqual([1, 3, 7].map((n) => texts("pl")(name, { n })), ["1 powiadomienie", "3 powiadomienia", "7 powiadomień"]);
  delete languages.pl;
});

test("what others wrote is no pattern", () => {
  assert.equal(texts("en")("Last updated {time}", { time: "$& {n}" }), "Last updated $& {n}");
});

test("how long ago", () => {
  const before = (/** @type {number} */ seconds) => ago("en", Date.now() - seconds * 1000);
  assert.deepEqual([-90, 5, 59, 60, 3_599, 7_200, 86_400].map(before), ["now", "now", "now", "1m ago", "59m ago", "2h ago", "yesterday"]);
  assert.match(before(8 * 86_400), /^[A-Z][a-z]{2} \d+$/);
  assert.equal(ago("zh-CN", Date.now() - 300_000), "5分钟前");
});

test("when something may come back is in the time of whoever looks", () => {
  const at = (/** @type {[number, number, number, number]} */ ...of) => new Date(2026, ...of);
  const named = (/** @type {Date} */ now) => Object.fromEntries(times(now).map(([name, time]) => [name, time.toString()]));
  // A Thursday evening at the end of a month.
  assert.deepEqual(named(at(3, 30, 22, 15)), {
    "In 1 hour": at(3, 30, 23, 15).toString(),
    "Tomorrow morning": at(4, 1, 8, 0).toString(),
    "Next week": at(4, 4, 8, 0).toString(),
  });
  const monday = (/** @type {number} */ day) => times(at(4, day, 7, 0))[2][1].getDate();
  assert.deepEqual([3, 4, 5, 10].map(monday), [4, 11, 11, 11], "on a Monday it is the next one");
});
