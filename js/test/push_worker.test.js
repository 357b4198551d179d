/** The service worker, with a scope that is not a browser's: what it shows, opens and leaves to pages. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { serve } from "../src/push/worker.js";
import { FakeCaches } from "./fake_caches.js";

/** @type {FakeScope} */
let scope;

beforeEach(() => {
  Object.assign(globalThis, { caches: new FakeCaches() });
  scope = new FakeScope();
  serve(scope);
});

/** A tab. */
class FakeTab {
  /** @type {any[]} */
  got = [];
  focusedBy = 0;

  /**
   * @param {string} url
   * @param {{focused?: boolean, answers?: boolean}} [how]
   */
  constructor(url, { focused = false, answers } = {}) {
    this.url = url;
    this.focused = focused;
    this.answers = answers;
  }

  async focus() {
    this.focusedBy += 1;
  }

  /** @param {any} message @param {any[]} [ports] */
  postMessage(message, [port] = []) {
    this.got.push(message);
    if (port && this.answers !== undefined) port.postMessage(this.answers);
    port?.close();
  }
}

class FakeScope extends EventTarget {
  /** @type {any[]} */
  shown = [];
  /** @type {FakeTab[]} */
  tabs = [];
  /** @type {string[]} */
  opened = [];
  /** @type {number[]} */
  badges = [];
  /** @type {any[]} */
  subscribed = [];
  Notification = { maxActions: 2 };
  navigator = { setAppBadge: async (/** @type {number} */ unread) => void this.badges.push(unread) };
  clients = {
    matchAll: async () => this.tabs,
    openWindow: async (/** @type {string} */ url) => void this.opened.push(url),
  };
  registration = {
    scope: "https://app.test/",
    getNotifications: async () => this.shown,
    showNotification: async (/** @type {string} */ title, /** @type {any} */ options) => {
      this.shown = this.shown.filter(({ tag }) => tag !== options.tag);
      const one = { title, ...options, close: () => (this.shown = this.shown.filter((other) => other !== one)) };
      this.shown.push(one);
    },
    pushManager: { subscribe: async (/** @type {any} */ options) => void this.subscribed.push(options) },
  };

  skipWaiting() {}

  /** Dispatch, and wait for what the worker asks to be waited for. @param {string} type @param {object} fields */
  async fire(type, fields) {
    /** @type {Promise<unknown>[]} */
    const waits = [];
    this.dispatchEvent(Object.assign(new Event(type), fields, { waitUntil: (/** @type {Promise<unknown>} */ one) => waits.push(one) }));
    assert.equal(waits.length, 1);
    await waits[0];
  }

  /** @param {any} message */
  push(message) {
    return this.fire("push", { data: { json: () => structuredClone(message) } });
  }

  /** @param {any} [notification] @param {string} [action] */
  click(notification = this.shown.at(-1), action = "") {
    return this.fire("notificationclick", { notification, action });
  }
}

test("a push is a notification and a badge", async () => {
  await scope.push({
    id: "n1", title: "Hello", body: "World", icon: "/i.png", tag: "k", unread: 3, time_ms: 5, data: { a: 1 },
    actions: [{ title: "Yes", url: "/yes" }, { title: "No", id: "no" }, { title: "Perhaps" }],
  });
  const [{ title, body, icon, tag, actions, timestamp, renotify, silent, data }] = scope.shown;
  assert.deepEqual([title, body, icon, tag, timestamp, renotify, silent], ["Hello", "World", "https://app.test/i.png", "k", 5, true, false]);
  assert.deepEqual(actions, [{ action: "0", title: "Yes" }, { action: "1", title: "No" }]);
  assert.deepEqual([data.id, data.data], ["n1", { a: 1 }]);
  assert.deepEqual(scope.badges, [3]);
});

test("its id is its tag, the same one comes again in silence, a successor is news", async () => {
  await scope.push({ id: "n1", title: "one" });
  await scope.push({ id: "n1", title: "one" });
  assert.deepEqual(scope.shown.map(({ tag, silent, renotify }) => [tag, silent, renotify]), [["n1", true, false]]);
  await scope.push({ id: "n2", title: "two", tag: "k" });
  await scope.push({ id: "n3", title: "three", tag: "k" });
  assert.deepEqual(scope.shown.map(({ title, silent }) => [title, silent]), [["one", true], ["three", false]]);
});

test("urgent stays until it is answered, low makes no noise", async () => {
  await scope.push({ id: "n1", title: "x", priority: "urgent" });
  await scope.push({ id: "n2", title: "x", priority: "low" });
  assert.deepEqual(scope.shown.map(({ requireInteraction, silent }) => [requireInteraction, silent]), [[true, false], [false, true]]);
});

for (const [name, data] of [
  ["nothing", null],
  ["no JSON", { json: () => JSON.parse("x") }],
  ["null", { json: () => null }],
  ["a number", { json: () => 5 }],
  ["odd fields", { json: () => ({ title: {}, body: 5, actions: "x", icon: 7, tag: null, unread: "9", time_ms: undefined }) }],
]) {
  test(`a push with ${name} is shown as something`, async () => {
    await scope.fire("push", { data });
    assert.equal(scope.shown.length, 1);
    assert.ok(scope.shown[0].title);
    assert.deepEqual(scope.badges, []);
  });
}

test("what was read elsewhere goes when nothing else is unread; what is not ours stays", async () => {
  await scope.registration.showNotification("theirs", { tag: "t" });
  await scope.push({ id: "n1", title: "one", unread: 1 });
  await scope.push({ id: "n2", title: "two", unread: 2 });
  assert.deepEqual(scope.shown.map(({ title }) => title), ["theirs", "one", "two"]);
  await scope.push({ id: "n3", title: "a digest of two", unread: 2, count: 2 });
  assert.deepEqual(scope.shown.map(({ title }) => title), ["theirs", "a digest of two"]);
});

test("pushes are taken one after the other, also when one fails", async () => {
  const { showNotification } = scope.registration;
  scope.registration.showNotification = async () => Promise.reject(new Error("no"));
  await assert.rejects(scope.push({ id: "n1", title: "one" }));
  scope.registration.showNotification = showNotification;
  await Promise.all([1, 2, 3].map((number) => scope.push({ id: `n${number}`, title: `${number}`, unread: number })));
  assert.deepEqual(scope.shown.map(({ title }) => title), ["1", "2", "3"]);
});

for (const [how, shown] of /** @type {const} */ ([
  [{ focused: true, answers: true }, 0],
  [{ focused: true, answers: false }, 1],
  [{ focused: true }, 1],
  [{ focused: false, answers: true }, 1],
])) {
  test(`a tab with ${JSON.stringify(how)} leaves ${shown} to show`, async () => {
    scope.tabs = [new FakeTab("https://app.test/", how)];
    await scope.push({ id: "n1", title: "x", unread: 1 });
    assert.equal(scope.shown.length, shown);
    assert.deepEqual(scope.badges, [1]);
  });
}

test("a browser without badges does without", async () => {
  // @ts-expect-error not there
  scope.navigator = {};
  await scope.push({ id: "n1", title: "x", unread: 1 });
  assert.equal(scope.shown.length, 1);
});

for (const [url, opened] of [
  ["/a?b#c", "https://app.test/a?b#c"],
  ["https://else.test/", "https://else.test/"],
  ["http://else.test/", "http://else.test/"],
  ["javascript:alert(1)", "https://app.test/"],
  ["data:text/html,x", "https://app.test/"],
  ["blob:https://app.test/1", "https://app.test/"],
  ["http://[", "https://app.test/"],
  ["", "https://app.test/"],
  [7, "https://app.test/"],
]) {
  test(`a click on ${url} opens ${opened}`, async () => {
    await scope.push({ id: "n1", title: "x", url });
    await scope.click();
    assert.deepEqual(scope.opened, [opened]);
    assert.deepEqual(scope.shown, []);
  });
}

test("a click focuses the tab that is there already", async () => {
  const [other, there] = (scope.tabs = [new FakeTab("https://app.test/other"), new FakeTab("https://app.test/a")]);
  await scope.push({ id: "n1", title: "x", url: "/a", data: 5 });
  await scope.click();
  assert.deepEqual([scope.opened, other.focusedBy, there.focusedBy], [[], 0, 1]);
  assert.deepEqual(other.got, [{ reddot: "click", id: "n1", action: undefined, data: 5 }]);
  await scope.push({ id: "n2", title: "x" });
  await scope.click();
  assert.equal(other.focusedBy, 1);
});

test("a button has an address of its own, or a name that pages are told", async () => {
  const [tab] = (scope.tabs = [new FakeTab("https://app.test/")]);
  const actions = [{ title: "b", url: "/b" }, { title: "later", id: "later" }];
  await scope.push({ id: "n1", title: "x", url: "/a", actions });
  const [shown] = scope.shown;
  await scope.click(shown, "0");
  assert.deepEqual(scope.opened, ["https://app.test/b"]);
  await scope.click(shown, "1");
  assert.deepEqual([scope.opened.length, tab.focusedBy, tab.got.at(-1).action], [1, 1, "later"]);
});

test("a click on what is not ours is left to others", async () => {
  await scope.registration.showNotification("theirs", { tag: "t" });
  await scope.click();
  assert.deepEqual([scope.shown.length, scope.opened], [1, []]);
});

test("a window that cannot be opened loses no mark", async () => {
  const cache = await caches.open("reddot-push");
  await cache.put("/reddot-push/user", new Response("42"));
  scope.clients.openWindow = async () => Promise.reject(new Error("not allowed"));
  await scope.push({ id: "n/1 ?", title: "x" });
  await scope.click();
  const left = (await cache.keys()).map(({ url }) => new URL(url).pathname);
  assert.deepEqual(left, ["/reddot-push/user", "/reddot-push/read/n%2F1%20%3F"]);
});

test("the browser's new subscription is made, and pages are told", async () => {
  const [tab] = (scope.tabs = [new FakeTab("https://app.test/")]);
  const options = { userVisibleOnly: true };
  await scope.fire("pushsubscriptionchange", { oldSubscription: { options }, newSubscription: null });
  await scope.fire("pushsubscriptionchange", { oldSubscription: { options }, newSubscription: {} });
  await scope.fire("pushsubscriptionchange", { oldSubscription: null, newSubscription: null });
  assert.deepEqual(scope.subscribed, [options]);
  assert.deepEqual(tab.got, Array(3).fill({ reddot: "renew" }));

});
