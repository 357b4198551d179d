/** Why a badge is what it is: from what is kept of each topic to what counts. */

import { part } from "../api.js";
import { el } from "../dom.js";
import { count, plural } from "../format.js";
import { button, card, field, input } from "../parts.js";
import { Table } from "../table.js";
import { Watch } from "../watch.js";

const TAKEN = [
  ["dead", "expired, retracted or replaced"],
  ["deleted", "deleted"],
  ["snoozed", "snoozed"],
  ["archived", "archived"],
  ["read", "read"],
  ["muted", "muted"],
];
const STEPS = [["total", "kept"], ...TAKEN, ["unread", "unread"]];

function sum(topics, name) {
  return topics.reduce((all, topic) => all + topic[name], 0);
}

/** "12 kept − 2 read − 3 muted = 7 unread". */
function sentence(topics) {
  const minus = TAKEN.filter(([name]) => sum(topics, name)).map(([name, words]) => ` − ${count(sum(topics, name))} ${words}`);
  return `${count(sum(topics, "total"))} kept${minus.join("")} = ${count(sum(topics, "unread"))} unread`;
}

/** Each step as a bar: how much there is, what is taken, what is left. */
function waterfall(topics) {
  const total = Math.max(1, sum(topics, "total"));
  let left = 0;
  const rows = STEPS.filter(([name]) => name === "total" || name === "unread" || sum(topics, name)).map(([name, words]) => {
    const value = sum(topics, name);
    const whole = name === "total" || name === "unread";
    if (whole) left = value;
    else left -= value;
    const bar = el("b");
    bar.style.setProperty("--from", whole ? 0 : left / total);
    bar.style.setProperty("--share", value / total);
    const sign = whole ? "" : "− ";
    return el("li", { class: `step ${name}` },
      el("span", { class: "step-name" }, words), el("i", { class: "step-bar", "aria-hidden": true }, bar),
      el("span", { class: "step-value" }, `${sign}${count(value)}`));
  });
  return el("ol", { class: "waterfall" }, ...rows);
}

function tags(values) {
  return el("span", { class: "tags" }, ...values.map((text) => el("code", { class: "tag" }, text)));
}

function summary({ user, badge, muted, topics }) {
  const counted = sum(topics, "unread");
  const hidden = [...muted.categories.map((one) => `category ${one}${muted.until[one] ? ` until ${new Date(muted.until[one]).toLocaleString()}` : ""}`), ...muted.topics.map((one) => `topic ${one}`)];
  const categories = Object.entries(badge.by_category);
  return el("div", { class: "verdict" },
    el("div", { class: "verdict-badge" },
      el("strong", { class: badge.unread ? "big-badge" : "big-badge none" }, count(badge.unread)),
      el("p", {}, el("strong", {}, user), el("br"), `${plural(badge.unread, "unread notification")}, ${count(badge.unseen)} unseen`)),
    el("p", { class: "sum" }, sentence(topics)),
    counted === badge.unread
      ? el("p", { class: "message good" }, "Counted one by one, it is the same number.")
      : el("p", { class: "message bad" }, `Counted one by one, it is ${count(counted)}. If something has just changed, look again; if it stays, run reddot verify.`),
    waterfall(topics),
    categories.length ? el("p", { class: "line-of" }, "By category ", tags(categories.map(([name, n]) => `${name} ${count(n)}`))) : null,
    hidden.length ? el("p", { class: "line-of" }, "Muted ", tags(hidden)) : null,
  );
}

function makeTable() {
  const number = (title, name) => ({ title, class: "number", text: (one) => count(one[name]) });
  return new Table({
    label: "Topic by topic",
    key: ({ topic }) => topic,
    empty: "Nothing is in this inbox.",
    columns: [
      { title: "Topic", class: "name", text: ({ topic }) => topic },
      { title: "", class: "soft", text: ({ followed, topic }) => (followed ? "followed" : topic === "everyone" ? "to everyone" : "their own") },
      number("Kept", "total"), number("Gone", "dead"), number("Deleted", "deleted"), number("Snoozed", "snoozed"), number("Archived", "archived"),
      number("Read", "read"), number("Muted", "muted"),
      { title: "Unread", class: "number strong", text: ({ unread }) => count(unread) },
      number("Unseen", "unseen"),
    ],
  });
}

function open(root, { api, query }) {
  const user = input("user", { required: true, type: "search", value: query.user, placeholder: "anna" });
  const table = makeTable();
  const [verdict, topicsCard] = [el("div"), card("Topic by topic", table.element)];
  const watch = new Watch({
    content: el("div", { class: "stack" }, verdict, topicsCard),
    load: () => api.get(`v1/users/${part(user.value)}/badge/explain`),
    show(found) {
      verdict.replaceChildren(card("Why", summary(found)));
      table.show(found.topics);
    },
  });
  const ask = (event) => {
    event.preventDefault();
    history.replaceState(null, "", `#badge?${new URLSearchParams({ user: user.value })}`);
    void watch.refresh();
  };
  const look = button("Explain", null, { type: "submit", class: "button primary" });
  root.append(
    el("form", { class: "bar", role: "search", on: { submit: ask } }, field("Whose badge", user), look),
    el("p", { class: "hint lead-hint" }, "A badge is derived from what was sent and what its user has marked, so it can always be explained."),
    watch.element,
  );
  if (query.user) void watch.refresh();
}

export const badge = { id: "badge", title: "Why this badge", open };
