/** The inbox: what shows at once, what comes back, and which badge wins. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { makeClient, pass, server, settle } from "./page.js";

const item = (/** @type {number} */ number, category = "general") => ({
  id: `n${number}`, topic: "users/1", time: "", expires: null, category, seen: false, read: false, archived: false, data: { title: `${number}` },
});
/** @type {any[]} */
let items;
/** @type {any} */
let badge;
/** @type {any[]} */
let marks;
let refuse = false;

beforeEach(() => {
  items = [item(3, "mention"), item(2), item(1)];
  badge = { as_of: 10, unread: 3, unseen: 3, by_category: { general: 2, mention: 1 } };
  marks = [];
  refuse = false;
});

function openInbox() {
  server.answer = (path, init) => {
    if (path !== "inbox/mark") return Response.json({ items, cursor: "rendered", next: path.includes("before") ? null : "1", badge });
    marks.push(JSON.parse(String(init.body)));
    if (refuse) return Response.json({ code: "rate_limited", retry: false }, { status: 429 });
    return Response.json(badge);
  };
  return makeClient({ inbox: true, shared: false }).inbox;
}

/** What the server would have done. @param {number} unread @param {number} unseen @param {Record<string, number>} by_category */
function move(unread, unseen, by_category) {
  badge = { as_of: badge.as_of + 1, unread, unseen, by_category };
}

test("a mark shows at once, in the list and in the badge, and stays when it is answered", async () => {
  const inbox = openInbox();
  await inbox.list();
  move(2, 2, { general: 2 });
  items[0].read = true;
  const done = inbox.mark("n3", "read");
  assert.deepEqual(inbox.items.map(({ read }) => read), [true, false, false]);
  assert.deepEqual(inbox.badge, { as_of: 10, unread: 2, unseen: 2, by_category: { general: 2 } });
  assert.deepEqual(await done, badge);
  assert.deepEqual(inbox.badge, badge);
  assert.deepEqual(marks.map(({ ids, as }) => [ids, as]), [[["n3"], "read"]]);
});

test("a mark that is refused is gone again", async () => {
  const inbox = openInbox();
  await inbox.list();
  refuse = true;
  const done = inbox.mark(["n1", "n2"], "archived");
  assert.deepEqual(inbox.items.map(({ id }) => id), ["n3"]);
  assert.equal(inbox.badge?.unread, 1);
  await assert.rejects(done, { code: "rate_limited" });
  assert.deepEqual(inbox.items.map(({ id }) => id), ["n3", "n2", "n1"]);
  assert.equal(inbox.badge?.unread, 3);
});

test("a mark that gets no answer is repeated with the same op_id", async () => {
  const inbox = openInbox();
  await inbox.list();
  server.faults["inbox/mark"] = "refuse";
  const done = inbox.mark("n1", "read");
  await pass(300);
  server.faults = {};
  await pass(3_000);
  await done;
  assert.equal(marks.length, 1);
  assert.match(marks[0].op_id, /^\d+(-\d+){3}$/);
  assert.equal(server.requests.filter((path) => path === "inbox/mark").length > 1, true);
});

test("marking all means what was shown", async () => {
  const inbox = openInbox();
  await inbox.list();
  move(0, 0, {});
  const done = inbox.mark("all", "read");
  assert.equal(inbox.badge?.unread, 0);
  assert.ok(inbox.items.every(({ read }) => read));
  await done;
  assert.deepEqual(marks.map(({ upto, as }) => [upto, as]), [["rendered", "read"]]);
});

test("marking all of a category leaves the others", async () => {
  const inbox = openInbox();
  await inbox.list();
  const done = inbox.mark("all", "read", "general");
  assert.deepEqual(inbox.badge?.by_category, { mention: 1 });
  assert.deepEqual(inbox.items.map(({ read }) => read), [false, true, true]);
  await done;
});

test("looking makes seen, and leaves unread", async () => {
  const inbox = openInbox();
  await inbox.list();
  const done = inbox.mark("all", "seen");
  assert.deepEqual([inbox.badge?.unread, inbox.badge?.unseen], [3, 0]);
  await done;
});

test("unread again counts again; marking twice counts once", async () => {
  const inbox = openInbox();
  items[0].read = true;
  move(2, 2, { general: 2 });
  await inbox.list();
  const done = [inbox.mark("n3", "unread"), inbox.mark("n3", "unread"), inbox.mark("n2", "read"), inbox.mark("n2", "deleted")];
  assert.deepEqual(inbox.badge?.by_category, { general: 1, mention: 1 });
  await Promise.all(done);
});

test("an older badge never wins", async () => {
  const inbox = openInbox();
  /** @type {number[]} */
  const shown = [];
  inbox.on("badge", ({ unread }) => shown.push(unread));
  inbox.take({ as_of: 5, unread: 5, unseen: 0, by_category: {} });
  inbox.take({ as_of: 4, unread: 4, unseen: 0, by_category: {} });
  inbox.take({ as_of: 5, unread: 6, unseen: 0, by_category: {} });
  inbox.take({ as_of: 6, unread: 0, unseen: 0, by_category: {} });
  assert.deepEqual(shown, [5, 0]);
  inbox.miss({ topic: "#", reason: "epoch" });
  inbox.take({ as_of: 1, unread: 1, unseen: 0, by_category: {} });
  assert.equal(inbox.badge?.unread, 1);
});

test("a badge that comes before the answer does not count a mark twice", async () => {
  const inbox = openInbox();
  await inbox.list();
  move(2, 2, { general: 2 });
  const done = inbox.mark("n3", "read");
  inbox.take(badge);
  assert.equal(inbox.badge?.unread, 2);
  await done;
  assert.equal(inbox.badge?.unread, 2);
});

test("a change elsewhere fetches the shown list anew, once for many", async () => {
  const inbox = openInbox();
  await inbox.list({ view: "unread", category: "general" });
  items = [item(9), ...items];
  for (let number = 0; number < 5; number += 1) {
    move(4 + number, 0, {});
    inbox.take(badge);
  }
  server.requests.length = 0;
  await pass(1_000);
  assert.equal(inbox.items[0].id, "n9");
  assert.deepEqual(server.requests.filter((path) => path === "inbox"), ["inbox"]);
  inbox.leave();
  inbox.take({ ...badge, as_of: 99 });
  await pass(1_000);
  assert.deepEqual(server.requests.filter((path) => path === "inbox"), ["inbox"]);
});

test("older ones are added below", async () => {
  const inbox = openInbox();
  await inbox.list();
  assert.ok(inbox.hasMore);
  items = [item(0)];
  await inbox.more();
  assert.deepEqual(inbox.items.map(({ id }) => id), ["n3", "n2", "n1", "n0"]);
  assert.ok(!inbox.hasMore);
});

test("badges come with the stream: in its first frame and by themselves", async () => {
  const { inbox } = makeClient({ inbox: true, shared: false });
  await settle();
  const badge = { type: "badge", as_of: 7, unread: 2, unseen: 1, by_category: { general: 2 } };
  server.say(badge);
  assert.deepEqual(inbox.badge, badge);
});

test("what is snoozed is gone at once, and there again if that is refused", async () => {
  const inbox = openInbox();
  await inbox.list();
  const until = new Date("2026-03-01T08:00:00Z");
  const done = inbox.snooze("n3", until);
  assert.deepEqual(inbox.items.map(({ id }) => id), ["n2", "n1"]);
  assert.deepEqual(inbox.badge, { as_of: 10, unread: 2, unseen: 2, by_category: { general: 2 } });
  items.shift();
  move(2, 2, { general: 2 });
  await done;
  assert.deepEqual(marks.map(({ ids, as, until }) => [ids, as, until]), [[["n3"], "snoozed", "2026-03-01T08:00:00.000Z"]]);
  refuse = true;
  const refused = inbox.snooze(["n2"], until);
  assert.deepEqual(inbox.items.map(({ id }) => id), ["n1"]);
  await assert.rejects(refused, { code: "rate_limited" });
  assert.deepEqual(inbox.items.map(({ id }) => id), ["n2", "n1"]);
});

test("what is brought back leaves the list of the snoozed, and counts", async () => {
  const inbox = openInbox();
  items = [{ ...item(3, "mention"), seen: true, snoozed_until: "2026-03-01T08:00:00Z" }];
  badge = { as_of: 10, unread: 2, unseen: 0, by_category: { general: 2 } };
  await inbox.list({ view: "snoozed" });
  assert.deepEqual(inbox.items.map(({ id }) => id), ["n3"]);
  const done = inbox.snooze("n3", null);
  assert.deepEqual(inbox.items, []);
  assert.deepEqual(inbox.badge?.by_category, { general: 2, mention: 1 });
  items = [];
  move(3, 1, { general: 2, mention: 1 });
  await done;
  assert.deepEqual(marks.map(({ ids, as, until }) => [ids, as, until]), [[["n3"], "unsnoozed", null]]);
});

test("a list of another view does not begin with what the last one had", async () => {
  const inbox = openInbox();
  await inbox.list();
  const other = inbox.list({ view: "unread" });
  assert.deepEqual(inbox.items, []);
  assert.equal((await other).length, 3);
});

test("a change elsewhere keeps what was loaded further down", async () => {
  const all = Array.from({ length: 150 }, (_, at) => item(150 - at));
  /** @type {string[]} */
  const limits = [];
  server.answer = (path) => {
    const query = new URL(path, "http://server.test").searchParams;
    const [before, limit] = [Number(query.get("before") ?? 151), Number(query.get("limit") ?? 20)];
    limits.push(String(query.get("limit")));
    const found = all.filter(({ id }) => Number(id.slice(1)) < before).slice(0, limit);
    const last = found.at(-1)?.id.slice(1);
    return Response.json({ items: found, cursor: "c", next: last === "1" ? null : last, badge });
  };
  const { inbox } = makeClient({ inbox: true, shared: false });
  await inbox.list();
  for (let more = 0; more < 6; more += 1) await inbox.more();
  assert.equal(inbox.items.length, 140);
  all[0] = { ...all[0], read: true };
  inbox.take({ ...badge, as_of: 11 });
  await pass(1_000);
  assert.deepEqual([limits.at(-1), inbox.items.length, inbox.items[0].read], ["100", 140, true]);
  await inbox.more();
  assert.deepEqual(inbox.items.map(({ id }) => id), all.map(({ id }) => id));
  await inbox.list();
  assert.equal(inbox.items.length, 20);
});

test("all may be what was shown before a later list came", async () => {
  const inbox = openInbox();
  await inbox.list();
  assert.equal(inbox.cursor, "rendered");
  await inbox.mark("all", "read", undefined, "earlier");
  assert.deepEqual(marks.map(({ upto }) => upto), ["earlier"]);
});
