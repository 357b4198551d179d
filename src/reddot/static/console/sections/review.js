/** Texts that wait for somebody's word: approve or reject, for all whom they are to reach. */

import { part } from "../api.js";
import { journeyOf } from "../delivery.js";
import { el, setText } from "../dom.js";
import { count, plural, stamp } from "../format.js";
import { sureButton } from "../parts.js";
import { Titles } from "../titles.js";
import { Watch } from "../watch.js";
import { why } from "../words.js";

const EVERY_MS = 3000;
const PAGE = 200;
const AT_ONCE = 100;

/** Held deliveries by what they deliver, the longest held first. */
function texts(items) {
  const found = new Map();
  for (const one of items) {
    const known = found.get(one.notification) ?? { id: one.notification, people: new Set(), couriers: new Set(), words: new Set() };
    known.people.add(one.user);
    known.couriers.add(one.courier);
    if (one.detail) known.words.add(one.detail);
    found.set(one.notification, { ...known, since: one.changed, one });
  }
  return [...found.values()].reverse();
}

/** The text with the found words marked, as far as they stand there letter by letter. */
function marked(text, words) {
  const lower = text.toLowerCase();
  const spots = [...words]
    .map((word) => [lower.indexOf(word.toLowerCase()), word.length])
    .filter(([at, length]) => at >= 0 && length && lower.length === text.length)
    .sort(([a], [b]) => a - b);
  const nodes = [];
  let from = 0;
  for (const [at, length] of spots) {
    if (at < from) continue;
    nodes.push(text.slice(from, at), el("mark", {}, text.slice(at, at + length)));
    from = at + length;
  }
  return [...nodes, text.slice(from)];
}

function said({ one, words }) {
  const found = [...words].join(", ");
  return found ? `${why(one).slice(0, -1)}: ${found}.` : why(one);
}

function entry(held, told, decide) {
  const title = told?.data.title ?? held.id;
  const whom = `${plural(held.people.size, "person", "people")} by ${[...held.couriers].join(", ")}`;
  return el("li", { class: "card review-entry" },
    el("h2", {}, ...marked(title, held.words)),
    told?.data.body ? el("p", { class: "body-text" }, ...marked(told.data.body, held.words)) : null,
    el("p", { class: "hint" }, `Category ${told?.category ?? "–"}. Held for ${whom}, since ${stamp(held.since)}. ${said(held)}`),
    el("div", { class: "buttons" },
      sureButton("Approve", `Approve ${title}`, () => decide(held.id, true)),
      sureButton("Reject", `Reject ${title}`, () => decide(held.id, false)),
      el("a", { class: "button small", href: journeyOf(held.id), "aria-label": `Who waits for ${title}` }, "Who waits")));
}

function open(root, { api, every, say }) {
  const titles = new Titles(api);
  const list = el("ul", { class: "entries review-list", "aria-label": "Held texts" });
  const empty = el("p", { class: "card empty" }, "Nothing is held. A plan's keywords decide what is.");
  const summary = el("p", { class: "summary", role: "status" });
  const both = el("div", { class: "buttons", hidden: true },
    sureButton("Approve all of these", "Approve all of these", () => decideAll(true)),
    sureButton("Reject all of these", "Reject all of these", () => decideAll(false)));
  const decided = new Set();
  let shown = [];
  let version = "";
  const decide = (id, approve) => settle([id], approve ? "Approved: it goes out now." : "Rejected: it never goes out.", () =>
    api.post(`v1/notifications/${part(id)}/review`, { approve }));
  /** What is on the page at this moment, and nothing that has come since. */
  const decideAll = (approve) => {
    const notifications = shown.slice(0, AT_ONCE).map(({ id }) => id);
    const said = `${approve ? "Approved" : "Rejected"}: ${plural(notifications.length, "text")}.`;
    return settle(notifications, said, () => api.post("v1/deliveries/review", { approve, notifications }));
  };
  const settle = async (ids, done, ask) => {
    try {
      await ask();
      for (const id of ids) decided.add(id); // What is held leaves in small steps.
      say(done);
    } catch (error) {
      say(`Not done: ${error.message}`);
    }
    await watch.refresh();
    root.closest("main")?.focus({ preventScroll: true });
  };
  const watch = new Watch({
    content: el("div", { class: "stack" }, summary, both, empty, list),
    async load() {
      const { items, next } = await api.get("v1/deliveries", { state: "held", limit: PAGE });
      await titles.learn(items.map(({ notification }) => notification));
      return { held: texts(items), total: items.length, next };
    },
    show({ held, total, next }) {
      for (const id of decided) if (!held.some((one) => one.id === id)) decided.delete(id);
      shown = held.filter(({ id }) => !decided.has(id));
      empty.hidden = shown.length > 0;
      both.hidden = shown.length < 2;
      setText(summary, shown.length ? `${plural(shown.length, "text")}, ${next ? "at least " : ""}${count(total)} held` : "");
      const now = JSON.stringify(shown.map(({ id, people, words }) => [id, people.size, [...words]]));
      if (now === version) return; // What is focused or half pressed is left in peace.
      version = now;
      list.replaceChildren(...shown.map((one) => entry(one, titles.of(one.id), decide)));
    },
  });
  root.append(el("p", { class: "hint lead-hint" }, "A decision holds for the whole notification, or the whole campaign: it is about the text."), watch.element);
  every(EVERY_MS, () => watch.poll());
}

export const review = { id: "review", title: "Review", open };
