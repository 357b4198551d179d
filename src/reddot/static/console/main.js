/** The console: signs in, and shows one section at a time; which, is in the address. */

import { Api, Refused } from "./api.js";
import { el, setText } from "./dom.js";
import { plural, span } from "./format.js";
import { Live } from "./live.js";
import { bindTheme } from "./look/theme.js";
import { SECTIONS } from "./sections.js";

const SETUP = "#setup=";
const TOAST_MS = 6000;

const byId = (id) => document.getElementById(id);
const api = new Api(() => leave("You are signed out."));
let live = null;
let session = null;
let closeSection = () => {};
let toastTimer = 0;

// ---- signing in ----

/** With a link, with a session that is there, or in development with nothing. */
async function begin() {
  const setup = location.hash.startsWith(SETUP) ? location.hash.slice(SETUP.length) : null;
  // A secret does not stay in the address, used or not.
  if (setup !== null) history.replaceState(null, "", location.pathname);
  try {
    enter(setup === null ? await resume() : await api.signIn({ setup }));
  } catch (error) {
    showDoor(setup === null && error instanceof Refused ? "" : error.message);
  }
}

async function resume() {
  const { status, content } = await api.exchange("GET", "v1/console/session", undefined, {
    "Reddot-Console": "1",
  });
  return status === 200 ? content : api.signIn({});
}

function showDoor(message) {
  byId("shell").hidden = true;
  byId("door").hidden = false;
  byId("door-error").hidden = !message;
  setText(byId("door-error"), message);
  document.title = "Sign in · Reddot console";
  byId("credential").focus();
}

byId("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = byId("credential");
  const pressed = event.submitter;
  if (pressed) pressed.disabled = true;
  try {
    enter(await api.signIn({ credential: field.value.trim() }));
    field.value = "";
  } catch (error) {
    showDoor(error.message);
  } finally {
    if (pressed) pressed.disabled = false;
  }
});

function enter(found) {
  session = found;
  byId("door").hidden = true;
  byId("shell").hidden = false;
  const kind = found.admin ? "administrator" : "server's key";
  setText(byId("who"), found.dev ? "Development: everybody on this machine is let in." : `Signed in: ${kind}`);
  byId("sign-out").hidden = found.dev;
  live = new Live(api);
  live.listen(showLive);
  void live.start();
  open();
}

function leave(message) {
  if (session === null) return;
  session = null;
  live.stop();
  closeSection();
  closeSection = () => {};
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  byId("main").replaceChildren();
  showDoor(message);
}

byId("sign-out").addEventListener("click", async () => {
  try {
    await api.delete("v1/console/session");
    leave("");
  } catch (error) {
    say(`Still signed in: ${error.message}`);
  }
});

// ---- sections ----

const links = new Map(
  SECTIONS.map(({ id, title }) => [id, el("a", { href: `#${id}` }, title)]),
);
byId("nav").append(...[...links.values()].map((link) => el("li", {}, link)));

/** Address of a section, and what it is to be about: `#badge?user=anna`. */
function wanted() {
  const [id, query = ""] = location.hash.slice(1).split("?");
  const section = SECTIONS.find((one) => one.id === id) ?? SECTIONS[0];
  return { section, query: Object.fromEntries(new URLSearchParams(query)) };
}

function open() {
  if (session === null) return;
  closeSection();
  const { section, query } = wanted();
  for (const [id, link] of links) {
    if (id === section.id) {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "center" });
    } else link.removeAttribute("aria-current");
  }
  setText(byId("title"), section.title);
  document.title = `${section.title} · Reddot console`;
  const undo = [];
  const root = el("div", { class: `section ${section.id}` });
  section.open(root, {
    api, live, query, say,
    admin: session.admin,
    /** Do something now and again and again, while this section is open and looked at. */
    every(ms, action) {
      const timer = setInterval(() => document.hidden || action(), ms);
      undo.push(() => clearInterval(timer));
      void action();
    },
    listen: (listener) => void undo.push(live.listen(listener)),
  });
  closeSection = () => undo.forEach((step) => step());
  byId("main").replaceChildren(root);
}

addEventListener("hashchange", () => {
  if (location.hash.startsWith(SETUP)) {
    if (session === null) void begin();
    else history.replaceState(null, "", location.pathname);
    return;
  }
  open();
  byId("title").focus();
});

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // What is behind the # is the section.
  byId("main").focus();
});

// ---- what is always there ----

const WORDS = { connecting: "Connecting", live: "Live" };

function showLive() {
  const box = byId("live");
  const lost = live.state === "stale";
  const ready = live.stats?.ready ?? true;
  box.dataset.state = lost ? "stale" : ready ? live.state : "unready";
  byId("main").toggleAttribute("data-stale", lost);
  const silent = live.stats ? `No answer for ${span(live.silentS)}` : "No answer";
  // A status is read aloud when it changes, so what counts up is only for the eyes.
  box.title = live.stats ? `Reddot ${live.stats.version}, up for ${span(live.stats.uptime_s)}` : "";
  setText(box.lastElementChild, lost ? "Not live" : ready ? WORDS[live.state] : `Not ready: ${live.stats.reason}`);
  box.dataset.since = lost ? silent : "";
  const refused = Object.values(live.stats?.rejected ?? {}).reduce((sum, n) => sum + n, 0);
  links.get("errors").title = `${plural(refused, "refusal")} since the start`;
}

function say(text) {
  clearTimeout(toastTimer);
  setText(byId("toast"), text);
  toastTimer = setTimeout(() => setText(byId("toast"), ""), TOAST_MS);
}

bindTheme(byId("theme"));
void begin();
