/** Deliveries that were given up: why, and sending them again. */

import { part } from "../api.js";
import { journeyOf, whyNode } from "../delivery.js";
import { el, setText } from "../dom.js";
import { openDrawer } from "../drawer.js";
import { ago, count, json, plural, stamp } from "../format.js";
import { Pages } from "../pages.js";
import { button, field, input, sureButton } from "../parts.js";
import { Table } from "../table.js";
import { Titles } from "../titles.js";
import { Watch } from "../watch.js";
import { why } from "../words.js";

const EVERY_MS = 5000;
const PAGE = 50;
/** Requests of one press; each sends up to 500 again. */
const ROUNDS_MAX = 20;

async function inspect(one, { api, titles }) {
  const rows = [
    ["Person", one.user], ["Courier", one.courier], ["Why", why(one)], ["The provider said", one.detail || "–"],
    ["Attempts", count(one.attempts)], ["Given up", stamp(one.changed)], ["First due", stamp(one.due)],
    ["Notification", one.notification || "–"], ["Number", String(one.id)],
  ];
  const address = el("pre", { tabindex: 0, "aria-label": "Address now" }, "…");
  const go = () => close();
  const close = openDrawer(
    titles.title(one.notification),
    el("p", { class: "body-text" }, titles.of(one.notification)?.data.body ?? ""),
    el("dl", { class: "facts" }, ...rows.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text)))),
    el("h3", {}, "Address now"),
    address,
    el("p", { class: "links" },
      el("a", { href: journeyOf(one.notification, one.user), on: { click: go } }, "What this person got of it"),
      el("a", { href: journeyOf(one.notification), on: { click: go } }, "Who got it, and who did not")),
  );
  try {
    const { addresses } = await api.get(`v1/users/${part(one.user)}/addresses`);
    const mine = addresses.filter(({ courier }) => courier === one.courier).map((each) => json(each.address));
    setText(address, mine.join("\n") || "None.");
  } catch (error) {
    setText(address, error.message);
  }
}

function deadTable(context, again) {
  const { live, titles } = context;
  return new Table({
    label: "Dead letters",
    key: ({ id }) => String(id),
    empty: "There are no dead letters.",
    columns: [
      {
        title: "Person",
        class: "name",
        node: (one) => el("button", { type: "button", class: "link", "aria-label": `Inspect ${one.user}: ${titles.title(one.notification)}`, on: { click: () => inspect(one, context) } }, one.user),
        version: (one) => titles.title(one.notification) + JSON.stringify(one),
      },
      { title: "Notification", class: "name", text: ({ notification }) => titles.title(notification) },
      { title: "Courier", text: ({ courier }) => courier },
      { title: "Why", class: "detail", node: whyNode, version: (one) => `${one.reason} ${one.detail}` },
      { title: "Attempts", class: "number", text: ({ attempts }) => count(attempts) },
      { title: "Given up", class: "number", text: ({ changed }) => ago(changed, live.now()), hint: ({ changed }) => stamp(changed) },
      {
        title: "",
        class: "end",
        node: (one) => button("Send again", () => again(one), { "aria-label": `Send again to ${one.user}` }),
        version: () => "",
      },
    ],
  });
}

/** What is looked for, by person, courier, reason and campaign; reasons as the server writes them. */
function filters(campaign, changed) {
  const reasons = el("datalist", { id: "dead-reasons" });
  const on = { input: changed };
  const inputs = {
    user: input("user", { placeholder: "everybody", on }),
    courier: input("courier", { placeholder: "any", on }),
    reason: input("reason", { placeholder: "any", list: reasons.id, on }),
    campaign: input("campaign", { placeholder: "any, or none", value: campaign, on: { change: changed } }),
  };
  const known = new Set();
  return {
    fields: [field("Person", inputs.user), field("Courier", inputs.courier), field("Reason", inputs.reason), field("Campaign's id", inputs.campaign), reasons],
    chosen: () => Object.fromEntries(Object.entries(inputs).map(([name, { value }]) => [name, value.trim()]).filter(([, text]) => text)),
    learn(items) {
      for (const one of items) {
        if (!known.has(one.reason)) reasons.append(el("option", { value: one.reason }, why(one)));
        known.add(one.reason);
      }
    },
  };
}

/** Send again all that is looked for, some hundreds at a time. Returns what came of it, in words. */
async function sendAll(api, chosen) {
  let [done, before] = [0, undefined];
  try {
    for (let round = 0; before !== null && round < ROUNDS_MAX; round++) {
      const { retried, next } = await api.post("v1/deliveries/retry", { ...chosen, before });
      done += retried;
      before = next;
    }
  } catch (error) {
    return `Sent again: ${count(done)}. ${error.message}`;
  }
  return `Sent again: ${count(done)}.${before === null ? "" : " There are more: press again."}`;
}

function open(root, context) {
  const { api, every, say, query } = context;
  const titles = new Titles(api);
  const sought = filters(query.campaign ?? "", () => (pages.reset(), watch.refresh()));
  const summary = el("p", { class: "summary", role: "status" });
  const again = async ({ id }) => {
    await api.post(`v1/deliveries/${id}/retry`).then(() => say("Sent again."), (error) => say(`Not done: ${error.message}`));
    await watch.refresh();
  };
  const all = sureButton("Send all that match again", "Send all that match again", async () => {
    say(await sendAll(api, sought.chosen()));
    await watch.refresh();
  });
  const table = deadTable({ ...context, titles }, again);
  const pages = new Pages(() => watch.refresh());
  const watch = new Watch({
    content: el("div", {}, table.element, pages.element),
    async load() {
      const page = await api.get("v1/deliveries", { state: "dead", ...sought.chosen(), before: pages.place, limit: PAGE });
      await titles.learn(page.items.map(({ notification }) => notification));
      return page;
    },
    show(page) {
      const { items } = page;
      sought.learn(items);
      all.hidden = !items.length;
      pages.show(page.next);
      table.show(items);
      setText(summary, items.length ? `${plural(items.length, "dead letter")}${page.next || pages.place ? " on this page" : ""}` : "");
    },
  });
  root.append(
    el("section", { class: "card bar", "aria-label": "Which" }, ...sought.fields, all, summary),
    el("section", { class: "card", "aria-label": "Dead letters" }, watch.element),
  );
  every(EVERY_MS, () => watch.poll());
}

export const deadLetters = { id: "dead", title: "Dead letters", open };
