/** The door to Web Push in a page: asking, subscribing, renewing, leaving, and what was clicked. */

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Push } from "../src/push/index.js";
import { addRead } from "../src/push/pending.js";
import { FakeCaches } from "./fake_caches.js";
import { makeClient, makePlainClient, pass, server, settle } from "./page.js";

const jwt = (/** @type {string} */ sub) => `x.${btoa(JSON.stringify({ sub }))}.x`;

/** What the server was told of subscriptions and marks, in order. @type {string[]} */
let told;
let key = "";
/** @type {"granted" | "denied" | "default"} what the person answers */
let answer;
/** @type {Set<string>} endpoints that lead to this browser */
let endpoints;
/** @type {Error | undefined} what the browser says when it is to subscribe */
let broken;
/** @type {any} */
let registration;
/** @type {any} */
let subscription;
let made = 0;
/** @type {Push[]} */
let pushes = [];
/** @type {number[]} */
let badges = [];
/** @type {EventTarget & Record<string, any>} */
let container;

/** A registration that is there, and the one subscription it may have. */
function makeRegistration() {
  subscription = null;
  return {
    active: { state: "activated" },
    shown: /** @type {any[]} */ ([]),
    getNotifications: async () => registration.shown,
    pushManager: {
      getSubscription: async () => subscription,
      subscribe: async (/** @type {any} */ { applicationServerKey }) => {
        if (broken) throw broken;
        const endpoint = `https://push.test/${(made += 1)}`;
        endpoints.add(endpoint);
        const keys = { p256dh: "p", auth: "a" };
        const end = async () => ((subscription = null), endpoints.delete(endpoint));
        const options = { applicationServerKey: applicationServerKey.buffer };
        return (subscription = { endpoint, options, toJSON: () => ({ endpoint, keys, expirationTime: null }), unsubscribe: end });
      },
    },
  };
}

/** Names are properties as well, as in browsers. */
class FakeStorage {
  /** @type {Record<string, string>} */
  #kept = /** @type {any} */ (this);

  getItem(/** @type {string} */ name) {
    return this.#kept[name] ?? null;
  }

  setItem(/** @type {string} */ name, /** @type {string} */ value) {
    this.#kept[name] = value;
  }

  removeItem(/** @type {string} */ name) {
    delete this.#kept[name];
  }
}

beforeEach(() => {
  [told, key, answer, endpoints, broken, pushes] = [[], btoa("key one").replace(/=+$/, ""), "granted", new Set(), undefined, []];
  made = 0;
  registration = makeRegistration();
  container = Object.assign(new EventTarget(), {
    registered: /** @type {string[]} */ ([]),
    startMessages() {},
    register: async (/** @type {string} */ worker) => (container.registered.push(worker), registration),
    getRegistration: async () => (container.registered.length || localStorage.getItem("reddot push") ? registration : undefined),
  });
  badges = [];
  const setAppBadge = async (/** @type {number} */ unread) => void badges.push(unread);
  // Node has one, which cannot be assigned to.
  Object.defineProperty(globalThis, "navigator", { value: { serviceWorker: container, setAppBadge }, configurable: true });
  Object.assign(globalThis, {
    caches: new FakeCaches(),
    PushManager: class {},
    Notification: { permission: "default", requestPermission: async () => (globalThis.Notification.permission !== "default" ? globalThis.Notification.permission : (/** @type {any} */ (Notification).permission = answer)) },
    localStorage: new FakeStorage(),
  });
  server.answer = (path, { method = "GET", body }) => {
    const sent = JSON.parse(String(body ?? "null"));
    if (path === "push/key") return Response.json({ key });
    if (path === "push/subscriptions") {
      told.push(`${method} ${sent.endpoint.split("/").at(-1)}`);
      return new Response(null, { status: 204 });
    }
    if (path === "push/clicks") {
      told.push(`clicked ${sent.ids}`);
      return new Response(null, { status: 204 });
    }
    if (path === "inbox/mark") told.push(`mark ${sent.ids} ${sent.as}`);
    return Response.json({ as_of: 1, unread: 0, unseen: 0, by_category: {} });
  };
});

/** A page of a user, as it is loaded. */
async function load(user = "42", options = {}) {
  pushes.forEach((push) => push.stop());
  const client = makePlainClient({ token: async () => (user ? jwt(user) : null), inbox: false, ...options });
  /** @type {string[]} */
  const errors = [];
  client.on("error", (error) => errors.push(error.code ?? String(error)));
  const push = new Push(client);
  pushes.push(push);
  await settle();
  return { push, client, errors };
}

test("it asks, subscribes with the server's key and tells the server, once", async () => {
  const { push } = await load();
  assert.equal(await push.state(), "off");
  await Promise.all([push.enable(), push.enable()]);
  await push.enable();
  assert.equal(await push.state(), "on");
  assert.deepEqual(container.registered, ["/reddot-sw.js"]);
  assert.equal(Buffer.from(subscription.options.applicationServerKey).toString(), "key one");
  assert.deepEqual(told, ["POST 1", "POST 1"]);
});

for (const [said, code, state] of /** @type {const} */ ([["denied", "denied", "denied"], ["default", "dismissed", "off"]])) {
  test(`a person who says "${said}" is not subscribed`, async () => {
    answer = said;
    const { push } = await load();
    await assert.rejects(push.enable(), { name: "PushError", code });
    assert.equal(await push.state(), state);
    assert.deepEqual([told, container.registered], [[], []]);
  });
}

test("a browser that cannot says so, and nothing breaks", async () => {
  Reflect.deleteProperty(globalThis, "PushManager");
  const { push } = await load();
  assert.equal(await push.state(), "unsupported");
  await assert.rejects(push.enable(), { code: "unsupported" });
  await push.disable();
  push.stop();
});

test("what the browser's push service and the server refuse is told, and enabling can be repeated", async () => {
  const { push } = await load();
  broken = new DOMException("no connection", "AbortError");
  await assert.rejects(push.enable(), { code: "push_service" });
  broken = undefined;
  const answered = server.answer;
  server.answer = () => Response.json({ code: "not_found", retry: false }, { status: 404 });
  await assert.rejects(push.enable(), { name: "ReddotError", status: 404 });
  server.answer = answered;
  await push.enable();
  assert.deepEqual(told, ["POST 1"]);
});

test("a page that is loaded again asks nobody, until a day has gone by", async () => {
  await (await load()).push.enable();
  told = [];
  const { push } = await load();
  assert.deepEqual([await push.state(), told], ["on", []]);
  mock.timers.tick(86_400_000);
  await load();
  assert.deepEqual(told, ["POST 1"]);
});

test("a new key of the server is a new subscription", async () => {
  await (await load()).push.enable();
  key = btoa("key two").replace(/=+$/, "");
  mock.timers.tick(86_400_000);
  await load();
  assert.deepEqual(told, ["POST 1", "POST 2"]);
  assert.deepEqual([...endpoints], ["https://push.test/2"]);
});

test("a subscription that the browser has lost or changed is renewed", async () => {
  await (await load()).push.enable();
  subscription = null;
  await load();
  assert.deepEqual(told, ["POST 1", "POST 2"]);
  await subscription.unsubscribe();
  await registration.pushManager.subscribe({ applicationServerKey: new TextEncoder().encode("key one") });
  container.dispatchEvent(Object.assign(new Event("message"), { data: { reddot: "renew" }, ports: [] }));
  await settle();
  assert.deepEqual(told, ["POST 1", "POST 2", "POST 3"]);
});

test("disabled, it is off here and there, and the clicks are forgotten", async () => {
  const { push } = await load();
  await push.enable();
  await addRead("n1");
  registration.shown = [{ data: { reddot: true }, close: () => (registration.shown = []) }];
  await push.disable();
  await push.disable();
  assert.deepEqual([await push.state(), told, [...endpoints], registration.shown], ["off", ["POST 1", "DELETE 1"], [], []]);
  await load();
  assert.deepEqual(told, ["POST 1", "DELETE 1"]);
});

test("disabled without a network it is off all the same", async () => {
  const { push } = await load();
  await push.enable();
  server.answer = () => undefined;
  server.faults["push/subscriptions"] = "refuse";
  await assert.rejects(push.disable(), { name: "ReddotError" });
  assert.deepEqual([await push.state(), [...endpoints]], ["off", []]);
});

test("somebody else who logs in is not shown what is for the one before; a page before the login changes nothing", async () => {
  await (await load("42")).push.enable();
  await addRead("n1");
  const { push } = await load("");
  assert.deepEqual([await push.state(), endpoints.size], ["off", 1]);
  await load("7");
  assert.deepEqual([endpoints.size, told], [0, ["POST 1"]]);
  const back = await load("42");
  assert.deepEqual([await back.push.state(), told], ["off", ["POST 1"]]);
});

test("what was clicked is marked by the page that is there, or by the next; what fails stays", async () => {
  await (await load()).push.enable();
  told = [];
  await addRead("n1");
  await addRead("n 2/3");
  const answered = server.answer;
  server.answer = () => Response.json({ code: "unauthorized", retry: false }, { status: 400 });
  const failed = await load();
  assert.deepEqual([failed.errors, told], [["unauthorized"], []]);
  server.answer = answered;
  const { client } = await load();
  assert.deepEqual(told, ["mark n1,n 2/3 read", "clicked n1,n 2/3"]);
  /** @type {any[]} */
  const clicks = [];
  client.on("push", (click) => clicks.push(click));
  await addRead("n4");
  container.dispatchEvent(Object.assign(new Event("message"), { data: { reddot: "click", id: "n4", action: "later", data: 5 }, ports: [] }));
  await settle();
  assert.deepEqual(told.slice(2), ["mark n4 read", "clicked n4"]);
  assert.deepEqual(clicks, [{ id: "n4", action: "later", data: 5 }]);
});

test("no more than a hundred clicks are kept, the newest", async () => {
  await (await load()).push.enable();
  for (let number = 0; number <= 100; number += 1) await addRead(`n${number}`);
  told = [];
  await load();
  const [marked] = told;
  assert.equal(marked.split(",").length, 100);
  assert.match(marked, /^mark n1,.*n100 read$/);
});

test("a page says whether it shows what comes by itself", async () => {
  const { client } = await load("42", { inbox: true, shared: false });
  const said = async () => {
    /** @type {any[]} */
    const answers = [];
    container.dispatchEvent(Object.assign(new Event("message"), { data: { reddot: "push" }, ports: [{ postMessage: (/** @type {any} */ one) => answers.push(one) }] }));
    return answers;
  };
  assert.equal(client.state, "live");
  assert.deepEqual(await said(), [true]);
  Object.assign(document, { hidden: true });
  assert.deepEqual(await said(), [false]);
  Object.assign(document, { hidden: false });
  client.close();
  assert.deepEqual(await said(), [false]);
});

test("what is read on another device is taken away, what may be unread stays", async () => {
  const { push, client } = await load();
  await push.enable();
  const show = (/** @type {string} */ id, /** @type {number} */ time_ms, reddot = true) => {
    const one = { data: { reddot, id, time_ms }, close: () => (registration.shown = registration.shown.filter((/** @type {any} */ other) => other !== one)) };
    registration.shown.push(one);
  };
  const time = (/** @type {number} */ ms) => new Date(ms).toISOString();
  [["old", 1], ["read", 20], ["unread", 30]].forEach(([id, ms]) => show(String(id), Number(ms)));
  show("theirs", 5, false);
  const ids = () => registration.shown.map((/** @type {any} */ one) => one.data.id);
  server.answer = () => Response.json({ items: [{ id: "unread", time: time(30) }, { id: "n", time: time(10) }], next: "more" });
  client.emit("badge", { as_of: 2, unread: 9 });
  await pass(1_100);
  assert.deepEqual(ids(), ["old", "unread", "theirs"]);
  client.emit("badge", { as_of: 3, unread: 0 });
  await pass(1_100);
  assert.deepEqual(ids(), ["theirs"]);
  assert.deepEqual(badges, [9, 0]);
});

/** @type {import("../src/index.js").Reddot | undefined} */
let loaded;

/** A page with a `Reddot`, which loads what it needs by itself. */
async function loadReddot(user = "42", options = {}) {
  loaded?.close();
  const client = (loaded = makeClient({ token: async () => jwt(user), inbox: false, ...options }));
  /** @type {string[]} */
  const errors = [];
  client.on("error", (error) => errors.push(error.code ?? String(error)));
  await settle();
  return { client, errors };
}

test("a client asks in the click itself, once, whatever is still to be loaded", async () => {
  const { client } = await loadReddot();
  let asked = 0;
  const ask = Notification.requestPermission;
  Notification.requestPermission = () => ((asked += 1), ask());
  answer = "default";
  const enabling = client.enablePush();
  assert.equal(asked, 1, "before anything has been waited for");
  await assert.rejects(enabling, { code: "dismissed" });
  assert.equal(asked, 1);
  answer = "granted";
  await client.enablePush();
  assert.deepEqual([await client.pushState(), told], ["on", ["POST 1"]]);
  await client.disablePush();
  assert.deepEqual([await client.pushState(), told], ["off", ["POST 1", "DELETE 1"]]);
});

test("a client that finds push enabled renews it and marks what was clicked; another does nothing", async () => {
  await loadReddot();
  assert.deepEqual(told, []);
  const { client } = await loadReddot();
  await client.enablePush();
  await addRead("n1");
  subscription = null;
  /** @type {string[]} */
  const workers = [];
  const find = container.getRegistration;
  container.getRegistration = (/** @type {string} */ worker) => (workers.push(worker), find());
  const { errors } = await loadReddot("42", { push: { worker: "/own.js" } });
  await settle();
  assert.deepEqual([told, errors], [["POST 1", "mark n1 read", "clicked n1", "POST 2"], []]);
  assert.deepEqual(workers, ["/own.js"]);
});

test("a client that is closed hears nothing of clicks any more", async () => {
  const { client } = await loadReddot();
  await client.enablePush();
  /** @type {any[]} */
  const clicks = [];
  client.on("push", (click) => clicks.push(click));
  const click = () => container.dispatchEvent(Object.assign(new Event("message"), { data: { reddot: "click", id: "n" }, ports: [] }));
  click();
  client.close();
  click();
  await settle();
  assert.equal(clicks.length, 1);
});

test("a browser that cannot is asked nothing, and says so", async () => {
  Reflect.deleteProperty(globalThis, "PushManager");
  const { client } = await loadReddot();
  assert.equal(await client.pushState(), "unsupported");
  await assert.rejects(client.enablePush(), { code: "unsupported" });
  assert.equal(Notification.permission, "default");
  await client.disablePush();
});

test("a page that may store nothing has a client all the same", async () => {
  Object.defineProperty(globalThis, "localStorage", { get: () => { throw new DOMException("no", "SecurityError"); }, configurable: true });
  try {
    assert.deepEqual((await loadReddot()).errors, []);
  } finally {
    Object.defineProperty(globalThis, "localStorage", { value: undefined, writable: true, configurable: true });
  }
});
