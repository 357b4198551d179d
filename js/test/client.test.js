/** The client against a server in this process: transports, switches, resumes, credentials. */

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { longPoll, shortPoll, sse, websocket } from "../src/index.js";
import { listen, makeClient, page, pass, server, settle } from "./page.js";

for (const transport of [websocket, sse, longPoll, shortPoll]) {
  test(`${transport.name}: each publication once and in order, through cuts`, async () => {
    const { client, got } = await listen({ transports: [transport] });
    assert.equal(client.state, "live");
    assert.equal(client.transport, transport.name);
    for (let number = 0; number < 40; number += 1) {
      server.publish("news/a", number);
      if (number % 7 === 3) server.cut();
      if (number % 3 === 0) await pass(400);
    }
    await pass(40_000);
    assert.deepEqual(got, [...Array(40).keys()]);
  });

  test(`${transport.name}: a server that was away is resumed from the cursor`, async () => {
    const { client, got } = await listen({ transports: [transport] });
    server.publish("news/a", 1);
    await pass(4_000);
    server.down = true;
    server.cut();
    await pass(20_000);
    assert.notEqual(client.state, "live");
    server.publish("news/a", 2);
    server.down = false;
    await pass(30_000);
    assert.equal(client.state, "live");
    assert.deepEqual(got, [1, 2]);
  });
}

test("a refused WebSocket costs no time: the next one is tried at once", async () => {
  server.faults.websocket = "refuse";
  const { client } = await listen();
  assert.equal(client.transport, "sse");
});

test("a WebSocket that hangs is raced after 2.5 s, and what hangs as well after 2 more", async () => {
  server.faults = { websocket: "hang", sse: "hang" };
  const { client } = await listen();
  await pass(2_400);
  assert.deepEqual(server.requests, ["websocket"]);
  await pass(200);
  assert.deepEqual(server.requests, ["websocket", "sse"]);
  await pass(2_000);
  assert.equal(client.transport, "long_poll");
});

test("after two failures in a row it is not tried first, until it works again", async () => {
  server.faults.websocket = "refuse";
  const { client } = await listen();
  server.publish("news/a", "which proves it");
  server.cut();
  await pass(1_000);
  assert.equal(client.transport, "sse");
  server.publish("news/a", "again");
  server.requests.length = 0;
  server.cut();
  await pass(1_000);
  assert.deepEqual(server.requests, ["sse"]);
  server.faults = {};
  await pass(300_000);
  assert.equal(client.transport, "websocket");
});

test("a better transport takes over without a loss or a double", async () => {
  server.faults.websocket = "refuse";
  const { client, got } = await listen();
  server.faults = {};
  for (let number = 0; number < 100; number += 1) {
    server.publish("news/a", number);
    await pass(400);
  }
  assert.equal(client.transport, "websocket");
  assert.equal(server.streams.size, 1);
  assert.deepEqual(got, [...Array(100).keys()]);
});

test("the network coming back tries the better one at once", async () => {
  server.faults.websocket = "refuse";
  const { client } = await listen();
  server.faults = {};
  page.dispatchEvent(new Event("online"));
  await settle();
  assert.equal(client.transport, "websocket");
});

test("a connection in doubt is let go when nothing better works, and is back when the network is", async () => {
  const { client, got } = await listen();
  await pass(20_000); // Longer than it is trusted without a word, shorter than its heartbeat.
  for (const stream of server.streams) stream.write = () => {};
  server.down = true;
  page.dispatchEvent(new Event("online"));
  await pass(1_000);
  assert.equal(client.state, "waiting");
  server.publish("news/a", 1);
  server.down = false;
  await pass(2_000);
  assert.equal(client.state, "live");
  assert.deepEqual(got, [1]);
});

test("a connection in doubt that speaks is kept when nothing better works", async () => {
  const { client, got } = await listen({ transports: [websocket] });
  await pass(20_000);
  server.faults.websocket = "hang";
  page.dispatchEvent(new Event("online"));
  await pass(1_000);
  server.publish("news/a", 1);
  await pass(15_000);
  assert.equal(client.state, "live");
  assert.equal(server.streams.size, 1);
  assert.deepEqual(got, [1]);
});

test("nothing is demoted while the network is down", async () => {
  server.down = true;
  const { client } = await listen();
  await pass(60_000);
  assert.equal(client.state, "waiting");
  server.down = false;
  server.requests.length = 0;
  page.dispatchEvent(new Event("online"));
  await settle();
  assert.equal(client.transport, "websocket");
  assert.equal(server.requests[0], "websocket");
});

test("a stream that has gone silent is replaced with its cursor", async () => {
  const { client, got } = await listen();
  for (const stream of server.streams) stream.write = () => {};
  server.publish("news/a", 1);
  await pass(62_000);
  assert.deepEqual(got, []);
  await pass(2_000);
  assert.equal(client.state, "live");
  assert.deepEqual(got, [1]);
});

test("who was away for ten seconds is back within a second of the server's return, however it went", async () => {
  for (let awayMs = 100; awayMs <= 9_900; awayMs += 700) {
    mock.method(Math, "random", () => 0.999);
    const { client } = await listen();
    server.publish("news/a", "which proves it");
    server.down = true;
    server.cut();
    await pass(awayMs);
    server.down = false;
    await pass(1_000);
    assert.equal(client.state, "live", `after ${awayMs} ms`);
    client.close();
  }
});

test("a crowd comes back as spread out as its server asks", async () => {
  server.spreadMs = 20_000;
  const { client } = await listen();
  server.publish("news/a", "which proves it");
  server.cut();
  await pass(9_900);
  assert.equal(client.state, "waiting");
  await pass(200);
  assert.equal(client.state, "live");
});

test("waits grow to 30 s, and start over once a connection is proved", async () => {
  server.down = true;
  const { client } = await listen({ transports: [websocket] });
  await pass(400_000);
  const attempts = server.requests.length;
  await pass(60_000);
  assert.equal(server.requests.length - attempts, 4); // 15 s each: half of the longest
  server.down = false;
  await pass(15_000);
  assert.equal(client.state, "live");
  server.cut();
  await pass(300);
  assert.equal(client.state, "live");
});

test("`Retry-After` is obeyed", async () => {
  server.faults.sse = "busy";
  const { client } = await listen({ transports: [sse] });
  server.faults = {};
  await pass(6_900);
  assert.equal(client.state, "waiting");
  assert.equal(client.reason, "overloaded");
  await pass(200);
  assert.equal(client.state, "live");
});

test("who looks at the page again does not wait", async () => {
  server.down = true;
  const { client } = await listen();
  await pass(100_000);
  server.down = false;
  assert.equal(client.state, "waiting");
  Object.assign(document, { hidden: true });
  page.dispatchEvent(new Event("visibilitychange"));
  await settle();
  assert.equal(client.state, "waiting");
  Object.assign(document, { hidden: false });
  page.dispatchEvent(new Event("visibilitychange"));
  await settle();
  assert.equal(client.state, "live");
});

test("each decision about a transport is told, with its reason, and kept", async () => {
  server.faults = { websocket: "refuse", sse: "hang" };
  const { client } = await listen();
  /** @type {any[]} */
  const told = [];
  client.on("transport", (note) => told.push(note));
  await pass(2_500);
  const trail = client.trail.map(({ transport, what, reason }) => [transport, what, reason]);
  assert.deepEqual(trail, [
    ["websocket", "trying", undefined],
    ["sse", "trying", undefined],
    ["long_poll", "trying", undefined],
    ["websocket", "failed", "closed, 1006"],
    ["sse", "failed", "slower"],
    ["long_poll", "live", undefined],
    ["long_poll", "proved", undefined],
  ]);
  assert.deepEqual(told, client.trail.slice(2));
  for (let turn = 0; turn < 12; turn += 1) {
    page.dispatchEvent(new Event("online"));
    await pass(11_000);
  }
  assert.equal(client.trail.length, 50);
  assert.ok(client.trail.some(({ what }) => what === "demoted"));
});

test("`reconnect` is obeyed", async () => {
  const { client } = await listen();
  server.say({ type: "reconnect", retry_ms: 7_000, reason: "drain" });
  await pass(6_900);
  assert.equal(client.state, "waiting");
  assert.match(client.reason, /drain/);
  await pass(200);
  assert.equal(client.state, "live");
});

test("a log that began anew is told as a gap, and its offsets count from 1", async () => {
  const { client, got } = await listen();
  /** @type {any[]} */
  const gaps = [];
  client.on("gap", (gap) => gaps.push(gap));
  client.subscribe("news/#", () => {}, (gap) => gaps.push(gap));
  server.publish("news/a", "old");
  await settle();
  server.replace();
  server.cut();
  await pass(2_000);
  server.publish("news/a", "new");
  assert.deepEqual(gaps, [{ topic: "news/#", reason: "epoch" }, { topic: "news/#", reason: "epoch" }]);
  assert.deepEqual(got, ["old", "new"]);
});

test("filters are added and dropped on a WebSocket by commands, with what is retained", async () => {
  server.publish("later/a", "kept", { retain: true });
  const { client } = await listen();
  /** @type {any[]} */
  const got = [];
  const stop = client.subscribe("later/+", ({ data }) => got.push(data));
  await settle();
  server.publish("later/a", "live");
  assert.deepEqual(got, ["kept", "live"]);
  stop();
  await settle();
  assert.deepEqual(server.requests, ["websocket", "ping", "subscribe", "poll", "unsubscribe"]);
  server.publish("later/a", "gone");
  assert.deepEqual(got, ["kept", "live"]);
});

test("on a stream of one direction a new filter is a new stream, made before the old is broken", async () => {
  const { client, got } = await listen({ transports: [sse] });
  /** @type {any[]} */
  const other = [];
  /** @type {string[]} */
  const states = [];
  client.on("state", (state) => states.push(state));
  client.subscribe("other", ({ data }) => other.push(data));
  server.publish("news/a", 1);
  await settle();
  server.publish("other", 2);
  await settle();
  assert.deepEqual([got, other], [[1], [2]]);
  assert.deepEqual(new Set(states), new Set(["live"]));
  assert.equal(server.streams.size, 1);
});

test("nothing to listen to is no connection", async () => {
  const client = makeClient();
  const stop = client.subscribe("news", () => {});
  await settle();
  assert.equal(client.state, "live");
  stop();
  await settle();
  assert.equal(client.state, "idle");
  assert.equal(server.streams.size, 0);
});

test("a callback that throws stops neither the others nor the stream", async (t) => {
  const { client } = await listen();
  /** @type {unknown[]} */
  const thrown = [];
  t.mock.method(globalThis, "queueMicrotask", (/** @type {() => void} */ run) => {
    try {
      run();
    } catch (error) {
      thrown.push(error);
    }
  });
  /** @type {any[]} */
  const got = [];
  client.subscribe("news/#", () => {
    throw new Error("of the page");
  });
  client.subscribe("news/#", ({ data }) => got.push(data));
  server.publish("news/a", 1);
  server.publish("news/a", 2);
  assert.deepEqual(got, [1, 2]);
  assert.equal(thrown.length, 2);
});

test("a token is asked for once; one that was refused is asked for anew, once", async () => {
  server.token = "new";
  const tokens = ["old", "new"];
  const { client } = await listen({ token: () => tokens.shift(), shared: false });
  await pass(1_000);
  assert.equal(client.state, "live");
  assert.equal(server.tickets, 1);
  assert.deepEqual(tokens, []);
});

test("a credential that stays refused ends in `closed`", async () => {
  server.token = "good";
  let asked = 0;
  const { client } = await listen({ token: () => `bad ${(asked += 1)}`, shared: false, transports: [sse] });
  await pass(5_000);
  assert.equal(client.state, "closed");
  assert.equal(client.reason, "unauthorized");
  assert.equal(asked, 2);
});

test("publishing repeats itself under one id until the server has it", async () => {
  /** @type {any[]} */
  const bodies = [];
  server.answer = (path, init) => {
    bodies.push(JSON.parse(String(init.body)));
    if (bodies.length === 1) throw new TypeError("network");
    return Response.json({ id: bodies[0].id, topic: "a", offset: 1, cursor: "c", duplicate: false });
  };
  const answer = makeClient().publish("a", { b: 1 });
  await pass(2_000);
  assert.equal((await answer).offset, 1);
  assert.equal(bodies.length, 2);
  assert.deepEqual(bodies[0], bodies[1]);
});

test("what the server refuses is an error with its code", async () => {
  server.answer = () => Response.json({ code: "topic_invalid", title: "No.", retry: false }, { status: 400 });
  await assert.rejects(makeClient().publish("a/#", 1), { name: "ReddotError", code: "topic_invalid", status: 400 });
});

test("a closed client is closed for good", async () => {
  const { client, got } = await listen();
  client.close();
  server.publish("news/a", 1);
  client.subscribe("more", () => {});
  page.dispatchEvent(new Event("online"));
  await pass(60_000);
  assert.equal(client.state, "closed");
  assert.deepEqual(got, []);
  assert.equal(server.streams.size, 0);
});

test("a page that is put away lets go, and resumes when it comes back", async () => {
  const { client, got } = await listen();
  page.dispatchEvent(new Event("pagehide"));
  await settle();
  assert.equal(client.state, "idle");
  assert.equal(server.streams.size, 0);
  server.publish("news/a", 1);
  page.dispatchEvent(new Event("pageshow"));
  await settle();
  assert.deepEqual(got, [1]);
});
