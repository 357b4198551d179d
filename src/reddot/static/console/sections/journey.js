/** One message's journey: who was to get it by which courier, what became of it, and why. */

import { part } from "../api.js";
import { journeyOf, momentText, stateNode, whyNode } from "../delivery.js";
import { el, setText } from "../dom.js";
import { NONE, ago, count, plural, stamp } from "../format.js";
import { Pages } from "../pages.js";
import { card, field, input } from "../parts.js";
import { Table } from "../table.js";
import { Watch } from "../watch.js";
import { moment } from "../words.js";

const EVERY_MS = 3000;
const PAGE = 50;

function table({ live }) {
  return new Table({
    label: "What became of it, by person",
    key: ({ id }) => String(id),
    empty: "Nothing of it leaves the house: its category has no plan, nobody it is for has an address, or the deliveries are not worked out yet.",
    columns: [
      { title: "Person", class: "name", text: ({ user }) => user },
      { title: "Courier", text: ({ courier }) => courier },
      { title: "State", node: stateNode, version: ({ state }) => state },
      { title: "When", class: "number", text: (one) => momentText(one, live.now()), hint: (one) => stamp(moment(one)[1]) },
      { title: "Clicked", class: "number", text: ({ clicked }) => (clicked ? ago(clicked, live.now()) : NONE), hint: ({ clicked }) => (clicked ? stamp(clicked) : "") },
      { title: "Attempts", class: "number", text: ({ attempts }) => count(attempts) },
      { title: "Why", class: "detail", node: whyNode, version: (one) => `${one.state} ${one.reason} ${one.detail}` },
    ],
  });
}

function summary(one, now) {
  const counts = one.counts ?? {};
  const rows = [
    ["State", one.state], ["To", one.topics.join(", ")], ["Category", one.category],
    ["Sent", `${stamp(one.time)}, ${ago(one.time, now)}`],
    ["In inboxes", `delivered live to ${count(counts.delivered_live)}, seen by ${count(counts.seen)}, read by ${count(counts.read)}`],
  ];
  return [
    el("p", { class: "body-text" }, one.data.body ?? ""),
    el("dl", { class: "facts" }, ...rows.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", { class: "clip" }, text)))),
  ];
}

function open(root, context) {
  const { api, live, every, query } = context;
  const id = input("id", { required: true, value: query.id ?? "" });
  const user = input("user", { value: query.user ?? "", placeholder: "everybody" });
  const look = (event) => {
    event.preventDefault();
    location.hash = journeyOf(id.value.trim(), user.value.trim());
  };
  root.append(el("form", { class: "card bar", "aria-label": "Journey", on: { submit: look } },
    field("Notification's id", id), field("Person", user), el("button", { class: "button primary" }, "Show")));
  if (!query.id) {
    root.append(el("p", { class: "message" }, "Give the id of a notification, or come from the list of notifications, a campaign or a dead letter."));
    return;
  }
  const facts = card("…");
  const title = facts.querySelector("h2");
  const said = el("div");
  facts.append(said);
  const told = new Watch({
    content: facts,
    load: () => api.get(`v1/notifications/${part(query.id)}`),
    show(one) {
      setText(title, one.data.title);
      said.replaceChildren(...summary(one, live.now()));
    },
  });
  const people = table(context);
  const shown = el("p", { class: "summary", role: "status" });
  const pages = new Pages(() => watch.refresh());
  const watch = new Watch({
    content: el("div", {}, people.element, pages.element),
    load: () => api.get(`v1/notifications/${part(query.id)}/deliveries`, { user: query.user, before: pages.place, limit: PAGE }),
    show({ items, next }) {
      pages.show(next);
      people.show(items);
      setText(shown, items.length ? `${plural(items.length, "delivery", "deliveries")}${next || pages.place ? " on this page" : ""}` : "");
    },
  });
  root.append(told.element, card("By person", shown, watch.element));
  every(EVERY_MS, () => Promise.all([told.poll(), watch.poll()]));
}

export const journey = { id: "journey", title: "Journey", open };
