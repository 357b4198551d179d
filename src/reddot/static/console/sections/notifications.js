/** What was sent, whom it has reached, and taking it back. */

import { part } from "../api.js";
import { journeyOf } from "../delivery.js";
import { el } from "../dom.js";
import { openDrawer } from "../drawer.js";
import { NONE, ago, count, json, stamp } from "../format.js";
import { Pages } from "../pages.js";
import { sureButton } from "../parts.js";
import { Table } from "../table.js";
import { Watch } from "../watch.js";

const EVERY_MS = 5000;
const PAGE = 20;
const COUNTS_MS = 15_000;
const WAITING_MAX = 100;
const GONE = new Set(["retracted", "expired", "replaced"]);

/** To whom, in words. */
function audience(topics) {
  const users = topics.filter((topic) => topic.startsWith("users/")).map((topic) => topic.slice("users/".length));
  if (topics[0] === "everyone") return "everyone";
  if (!users.length) return topics.join(", ");
  const shown = users.slice(0, 2).join(", ");
  return users.length > 2 ? `${shown} and ${count(users.length - 2)} more` : shown;
}

function tell(one, now) {
  const rows = [
    ["State", one.state], ["To", one.topics.join(", ")], ["Category", one.category],
    ["Time", stamp(one.time)], ["Not before", stamp(one.publish_at)], ["Expires", stamp(one.expires)],
    ["Collapse key", one.collapse_key ?? "–"], ["Id", one.id],
    ["Delivered live", count(one.counts?.delivered_live)], ["Seen by", count(one.counts?.seen)], ["Read by", count(one.counts?.read)],
  ];
  const close = openDrawer(
    one.data.title,
    el("p", { class: "body-text" }, one.data.body ?? ""),
    el("dl", { class: "facts" }, ...rows.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text)))),
    one.state === "scheduled"
      ? null
      : el("p", {}, el("a", { href: journeyOf(one.id), on: { click: () => close() } }, "Who got it, and who did not")),
    el("h3", {}, "What receivers get"),
    el("pre", { tabindex: 0, "aria-label": "What receivers get" }, json(one.data)),
    el("p", { class: "hint" }, `${ago(one.time, now)}. Delivered: people who were connected when it came.`),
  );
}

function makeTable({ api, live, say, refresh }) {
  const retract = async (id) => {
    try {
      await api.delete(`v1/notifications/${part(id)}`);
      say("Taken back, everywhere.");
    } catch (error) {
      say(`Not done: ${error.message}`);
    }
    await refresh();
  };
  const counted = (name) => ({ counts, state }) =>
    counts ? count(counts[name]) : state === "scheduled" ? NONE : "…";
  return new Table({
    label: "Notifications",
    key: ({ id }) => id,
    empty: "Nothing was sent yet.",
    columns: [
      {
        title: "Title",
        class: "name",
        node: (one) => el("button", { type: "button", class: "link", on: { click: () => tell(one, live.now()) } }, one.data.title),
        version: (one) => JSON.stringify(one),
      },
      { title: "To", class: "name", text: ({ topics }) => audience(topics), hint: ({ topics }) => topics.join("\n") },
      { title: "Category", text: ({ category }) => category },
      {
        title: "State",
        node: ({ state }) => el("span", { class: "state", "data-state": state }, state),
        version: ({ state }) => state,
      },
      { title: "Time", class: "number", text: ({ time }) => ago(time, live.now()), hint: ({ time }) => stamp(time) },
      { title: "Delivered", class: "number", text: counted("delivered_live") },
      { title: "Seen", class: "number", text: counted("seen") },
      { title: "Read", class: "number", text: counted("read") },
      {
        title: "",
        class: "end",
        node: ({ id, state, data }) =>
          GONE.has(state) ? el("span") : sureButton("Retract", `Retract ${data.title}`, () => retract(id)),
        version: ({ state }) => String(GONE.has(state)),
      },
    ],
  });
}

function open(root, context) {
  const { api, every } = context;
  const table = makeTable({ ...context, refresh: () => watch.refresh() });
  const pages = new Pages(() => watch.refresh());
  const counts = new Counts(api);
  const watch = new Watch({
    content: el("div", {}, table.element, pages.element),
    async load() {
      const page = await api.get("v1/notifications", { before: pages.place, limit: PAGE });
      if (pages.place) return page;
      const waiting = await api.get("v1/notifications", { state: "scheduled", limit: WAITING_MAX });
      return { ...page, items: [...waiting.items, ...page.items] };
    },
    show(page) {
      pages.show(page.next);
      table.show(page.items.map((one) => counts.on(one)));
      void counts.renew(page.items, (items) => pages.next === page.next && table.show(items));
    },
  });
  root.append(el("section", { class: "card", "aria-label": "Notifications" }, watch.element));
  every(EVERY_MS, () => watch.poll());
}

/**
 * Whom notifications have reached. The list does not say it, and it is not cheap to count: each is
 * asked for one after the other, and not again for a while.
 */
class Counts {
  constructor(api) {
    this.api = api;
    this.known = new Map();
    this.renewing = false;
  }

  on(one) {
    return { ...one, counts: one.counts ?? this.known.get(one.id)?.counts ?? null };
  }

  /** @param {(items: any[]) => void} show called after each one that was asked for */
  async renew(items, show) {
    if (this.renewing) return;
    this.renewing = true;
    for (const { id, counts, state } of items) {
      const known = this.known.get(id);
      const fresh = known && performance.now() - known.at < COUNTS_MS;
      if (counts || state === "scheduled" || fresh) continue;
      try {
        const found = await this.api.get(`v1/notifications/${part(id)}`);
        this.known.set(id, { counts: found.counts, at: performance.now() });
      } catch {
        break; // The list will say what is the matter.
      }
      show(items.map((one) => this.on(one)));
    }
    this.renewing = false;
  }
}

export const notifications = { id: "notifications", title: "Notifications", open };
