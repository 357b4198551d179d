/** What a test has in place of a page: a clock, the page's events, and clients that end with it. */

import { afterEach, beforeEach, mock } from "node:test";
import { Client, Reddot } from "../src/index.js";
import "../src/transports/loaded.js"; // Loaded by now: a test does not wait for it.
import { FakeServer } from "./fake_server.js";

/** @typedef {import("../src/frames.js").Publication} Publication */

/** @type {FakeServer} */
export let server;
/** @type {Client[]} */
let clients = [];
export let page = new EventTarget();

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_000_000 });
  mock.method(Math, "random", () => 0.5);
  page = new EventTarget();
  Object.assign(globalThis, {
    document: { hidden: false },
    addEventListener: page.addEventListener.bind(page),
    removeEventListener: page.removeEventListener.bind(page),
    sessionStorage: {},
  });
  server = new FakeServer().install();
});

afterEach(async () => {
  clients.forEach((client) => client.close());
  clients = [];
  await settle();
  mock.reset();
  mock.timers.reset();
});

/** Let everything run that waits for nothing but its turn. */
export async function settle() {
  for (let turn = 0; turn < 30; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** @param {number} ms */
export async function pass(ms) {
  for (let left = ms; left > 0; left -= 100) {
    mock.timers.tick(Math.min(left, 100));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await settle();
}

/** @param {import("../src/client.js").Options & {push?: import("../src/push/index.js").PushOptions}} [options] */
export function makeClient(options) {
  return ending(new Reddot({ server: "http://server.test", ...options }));
}

/** One without an inbox. @param {import("../src/client.js").Options} [options] */
export function makePlainClient(options) {
  return ending(new Client({ server: "http://server.test", ...options }));
}

/** @template {Client} C @param {C} client */
function ending(client) {
  clients.push(client);
  return client;
}

/**
 * A client that listens, and what it got.
 *
 * @param {import("../src/client.js").Options} [options]
 * @param {string} [filter]
 */
export async function listen(options, filter = "news/#") {
  const client = makeClient(options);
  /** @type {any[]} */
  const got = [];
  client.subscribe(filter, (publication) => got.push(publication.data));
  await settle();
  return { client, got };
}
