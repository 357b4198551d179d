/** The topics of the log, and what is on one of them. */

import { rest } from "../api.js";
import { el, setText } from "../dom.js";
import { openDrawer } from "../drawer.js";
import { ago, count, json, plural, stamp } from "../format.js";
import { button, field, input } from "../parts.js";
import { Table } from "../table.js";
import { Watch } from "../watch.js";

const EVERY_MS = 3000;
const PAGE = 50;
const HISTORY = 20;

function publication(one) {
  return el(
    "li",
    { class: "entry" },
    el("p", { class: "entry-head" },
      el("strong", {}, `#${count(one.offset)}`), el("span", { class: "tag" }, one.event),
      el("time", { datetime: one.time }, stamp(one.time))),
    el("p", { class: "entry-id" }, one.id),
    el("pre", { tabindex: 0, "aria-label": `Data of number ${one.offset}` }, json(one.data)),
  );
}

/** The newest publications of a topic, and older ones on demand. */
function showHistory(api, topic) {
  const list = el("ol", { class: "entries" });
  const more = button("Older", () => load(), { hidden: true });
  const note = el("p", { class: "empty", role: "status" }, "Loading …");
  let before = "";
  const load = async () => {
    try {
      const page = await api.get(`v1/topics/${rest(topic)}/history`, { before, limit: HISTORY });
      list.append(...page.items.map(publication));
      before = page.next ?? "";
      more.hidden = !page.next;
      const nothing = list.childElementCount ? "" : "Nothing is kept of this topic.";
      setText(note, nothing);
      note.hidden = !nothing;
    } catch (error) {
      setText(note, error.message);
      note.hidden = false;
    }
  };
  openDrawer(topic, note, list, more);
  void load();
}

function open(root, { api, live, query, every }) {
  const prefix = input("prefix", { type: "search", value: query.prefix, placeholder: "news/" });
  const summary = el("p", { class: "summary", role: "status" });
  let shown = PAGE;
  const table = new Table({
    label: "Topics",
    key: ({ topic }) => topic,
    empty: "No topic begins like that.",
    columns: [
      {
        title: "Topic",
        class: "name",
        node: ({ topic }) => el("button", { type: "button", class: "link", on: { click: () => showHistory(api, topic) } }, topic),
      },
      { title: "Newest", class: "number", text: ({ offset }) => `#${count(offset)}` },
      { title: "Kept", class: "number", text: ({ kept }) => count(kept) },
      { title: "Retained", text: ({ retained }) => (retained ? "yes" : "–") },
      { title: "Subscribers", class: "number", text: ({ subscribers }) => count(subscribers) },
      { title: "Last", class: "number", text: ({ time }) => ago(time, live.now()), hint: ({ time }) => stamp(time) },
    ],
  });
  const more = button("More", () => {
    shown += PAGE;
    return watch.refresh();
  });
  const watch = new Watch({
    content: el("div", {}, table.element, more),
    load: () => api.get("v1/topics", { prefix: prefix.value, limit: Math.min(shown, 500) }),
    show({ items, next }) {
      table.show(items);
      more.hidden = !next || shown >= 500;
      setText(summary, `${plural(items.length, "topic")}${next ? ", and more" : ""}`);
    },
  });
  const anew = () => {
    shown = PAGE;
    return watch.refresh();
  };
  root.append(
    el(
      "form",
      { class: "bar", role: "search", on: { submit: (event) => event.preventDefault(), input: anew } },
      field("Begins with", prefix),
    ),
    el("section", { class: "card", "aria-label": "Topics" }, el("div", { class: "card-row" }, summary), watch.element),
  );
  every(EVERY_MS, () => watch.poll());
}

export const topics = { id: "topics", title: "Topics", open };
