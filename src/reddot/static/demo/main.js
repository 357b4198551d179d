/**
 * The demo page: puts readers, controls and drawing together.
 *
 * Nothing connects before the page has loaded and one turn has passed: an endless frame inserted
 * earlier would keep the browser's loading icon spinning for ever.
 */

import { ABOUT } from "./about.js";
import { ServerClock } from "./clock.js";
import { Controls } from "./controls.js";
import { Costs } from "./costs.js";
import { RedDot } from "./dot.js";
import { FrameLog } from "./framelog.js";
import { drawInsight } from "./insight.js";
import { TabLock } from "./lock.js";
import { Negotiated } from "./negotiated.js";
import { bindPublishing } from "./publishing.js";
import { Reader } from "./reader.js";
import * as server from "./server.js";
import { bindCopy, drawTable } from "./table.js";
import { bindTheme } from "./look/theme.js";
import { makeTransports } from "./transports.js";
import { Visitor } from "./visitor.js";

const DRAW_MS = 250;
const COUNTERS_MS = 1_000;
const CLOCK_MS = 60_000;
const INSIGHT_MS = 2_000;
const SETTLE_MS = 250;
const PULSE_MS_MIN = 250;

const byId = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const clock = new ServerClock(server.fetchNow);
const costs = new Costs();
const controls = new Controls({
  setting: () => startAnew(),
  pause: () => tellRate(),
  cursor: (on) => all((reader) => (reader.link.resumes = on)),
  reset: () => reset(),
  cut: server.cutConnections,
  restart: server.restartHub,
});
const visitor = new Visitor();
const dot = new RedDot(visitor, {
  bell: byId("bell"),
  inbox: byId("inbox"),
  lang: byId("speaks"),
  why: byId("why"),
  race: byId("race"),
  form: byId("notify"),
  status: byId("notify-status"),
});
const negotiated = new Negotiated(
  {
    panel: byId("negotiated"),
    word: byId("negotiated-state"),
    figures: byId("negotiated-figures"),
    timeline: byId("timeline"),
    missing: byId("negotiated-missing"),
    block: byId("block"),
    hold: byId("hold"),
    change: byId("change"),
  },
  visitor,
  clock,
  (badge) => dot.take(badge, "Client"),
);
const readers = makeReaders();
const log = new FrameLog({ list: byId("log"), select: byId("log-of"), hold: byId("log-hold") }, readers);
let running = false;
let settling = 0;
let turns = 0;
let pulsedAt = 0;
let insightAt = 0;

function makeReaders() {
  const transports = makeTransports(() => controls.pollMs);
  const made = {};
  for (const [key, about] of Object.entries(ABOUT)) {
    made[key] = new Reader(about, transports[key], { clock, visitor, dot, onPublication: pulse });
    byId("panels").append(made[key].panel.element);
  }
  return made;
}

function all(action) {
  Object.values(readers).forEach(action);
}

/** The red dot behind the title beats with the messages. */
function pulse() {
  const now = performance.now();
  if (calm.matches || document.hidden || now - pulsedAt < PULSE_MS_MIN) return;
  pulsedAt = now;
  byId("pulse").animate([{ scale: 1.35 }, { scale: 1 }], { duration: 400, easing: "ease-out" });
}

/** A failed question is asked again soon enough; the panels show that the server is away. */
async function attempt(question) {
  try {
    return await question();
  } catch {
    return undefined;
  }
}

async function refreshCounters() {
  const told = await attempt(server.fetchCounters);
  if (told === undefined || !running) return;
  costs.update(told.transports);
  showSessions(told.transports);
  // The publisher stops when no page watches, and with its server: bring it back.
  if (!settling && told.publisher.per_minute !== controls.perMinute) await tellRate();
}

/** How many are connected to the server: this page, and whoever else there is. */
function showSessions(transports) {
  const open = Object.values(transports).reduce((sum, { sessions }) => sum + sessions, 0);
  byId("sessions").textContent = `${open} ${open === 1 ? "connection is" : "connections are"} open on the server.`;
}

function tellRate() {
  return attempt(() => server.setRate(controls.perMinute, controls.size));
}

/**
 * Another setting makes the old figures meaningless. What the old one still has under way is
 * fetched first: 150 messages waiting for a short poll would make the next one look cheap.
 */
async function startAnew() {
  if (!running) return;
  const turn = ++turns;
  settling += 1;
  await attempt(() => server.setRate(0, controls.size));
  readers.short_poll.link.renew();
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  if (turn === turns && running) {
    await reset();
    await tellRate();
  }
  settling -= 1;
}

async function reset() {
  await refreshCounters();
  costs.reset();
  all((reader) => reader.reset());
  negotiated.reset();
  insightAt = 0;
  draw();
}

function draw() {
  if (document.hidden) return;
  const intervalMs = 60_000 / controls.perMinute;
  all((reader) => reader.showSilence(intervalMs));
  const figures = Object.entries(readers).map(([key, reader]) =>
    reader.figures(costs.bytesPerMessage(key)),
  );
  const dearest = Math.max(0, ...figures.map((each) => each.bytesPerMessage ?? 0));
  Object.values(readers).forEach((reader, i) => reader.panel.draw(figures[i], dearest));
  drawTable(byId("table"), figures);
  log.draw();
  negotiated.draw();
  if (performance.now() - insightAt > INSIGHT_MS) {
    insightAt = performance.now();
    drawInsight(byId("insight"), figures);
  }
}

function showMethod() {
  byId("method").textContent = [
    "Delay: from the server's stamp to the script's first sight of the message, the last 4,096 of them;",
    `the two clocks agree to ${clock.error.toFixed(1)} ms.`,
    "Bytes: both ways, headers included, counted at the server's sockets.",
    "Changing the rate, the payload or the interval starts anew.",
  ].join(" ");
}

async function measureClock() {
  await attempt(() => clock.measure());
  if (Number.isFinite(clock.error)) showMethod();
}

function showRunning(here) {
  running = here;
  byId("elsewhere").hidden = here;
  byId("controls").inert = !here;
  document.body.classList.toggle("waiting", !here);
}

async function run() {
  if (running) return;
  showRunning(true);
  await measureClock();
  if (!running) return;
  all((reader) => reader.link.start());
  void negotiated.start();
  await startAnew();
}

function rest() {
  showRunning(false);
  all((reader) => reader.link.stop());
  negotiated.stop();
}

function start() {
  bindTheme(byId("theme"));
  bindCopy(byId("copy"), byId("table"));
  bindPublishing({
    form: byId("publish"),
    invalid: byId("publish-invalid"),
    status: byId("answer-status"),
    answer: byId("answer"),
  });
  byId("curl").textContent = `curl -N "${server.address("sse")}?topic=demo/%23"`;
  const lock = new TabLock(run, rest);
  byId("take-over").addEventListener("click", () => lock.steal());
  addEventListener("online", () => all((reader) => reader.link.hurry()));
  addEventListener("visibilitychange", () => document.hidden || all((reader) => reader.link.hurry()));
  setInterval(() => requestAnimationFrame(draw), DRAW_MS);
  setInterval(() => running && refreshCounters(), COUNTERS_MS);
  setInterval(() => running && measureClock(), CLOCK_MS);
  draw();
  void dot.start();
  void lock.acquire();
}

if (document.readyState === "complete") setTimeout(start, 0);
else addEventListener("load", () => setTimeout(start, 0), { once: true });
