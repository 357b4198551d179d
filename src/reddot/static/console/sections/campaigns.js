/** Campaigns: how far each has come, and beginning one. One of them, in full, is `campaign.js`. */

import { part } from "../api.js";
import { OVER, actions, openCampaign, whom } from "../campaign.js";
import { campaignForm } from "../campaign_form.js";
import { el } from "../dom.js";
import { ago, stamp } from "../format.js";
import { Pages } from "../pages.js";
import { button } from "../parts.js";
import { Bar, sum } from "../progress.js";
import { Table } from "../table.js";
import { Watch } from "../watch.js";

const EVERY_MS = 3000;
const PAGE = 20;

function campaignAt(id) {
  return `#campaigns?${new URLSearchParams({ id })}`;
}

/** Each campaign's sums: the list does not say them. What is over is asked for once. */
class Sums {
  constructor(api) {
    this.api = api;
    this.known = new Map();
  }

  async learn(items) {
    for (const { id, state } of items) {
      const known = this.known.get(id);
      if (known && OVER.has(known.state) && !known.open) continue;
      const { progress } = await this.api.get(`v1/campaigns/${part(id)}`);
      this.known.set(id, { state, ...sum(progress.totals) });
    }
    const shown = new Set(items.map(({ id }) => id));
    for (const id of this.known.keys()) if (!shown.has(id)) this.known.delete(id);
  }
}

function campaignTable({ live }, sums, act) {
  const bars = new Map();
  const bar = ({ id, title }) => {
    if (!bars.has(id)) bars.set(id, new Bar(`Progress of ${title}`));
    return bars.get(id);
  };
  const table = new Table({
    label: "Campaigns",
    key: ({ id }) => id,
    empty: "There are no campaigns yet.",
    columns: [
      { title: "Title", class: "name", node: (one) => el("a", { class: "link", href: campaignAt(one.id) }, one.title), version: ({ title }) => title },
      { title: "To", class: "name", text: whom },
      { title: "State", node: ({ state }) => el("span", { class: "state", "data-state": state }, state), version: ({ state }) => state },
      { title: "Start", class: "number", text: ({ start }) => ago(start, live.now()), hint: ({ start }) => stamp(start) },
      { title: "Deliveries", class: "wide-cell", node: (one) => bar(one).element },
      { title: "", class: "end", node: (one) => el("span", { class: "buttons" }, ...actions(one, (word) => act(one.id, word))), version: ({ state }) => state },
    ],
  });
  return [table, (items) => {
    table.show(items);
    for (const one of items) bar(one).show(sums.known.get(one.id));
  }];
}

function openList(root, context) {
  const { api, every, say } = context;
  const sums = new Sums(api);
  const act = async (id, word) => {
    try {
      await api.post(`v1/campaigns/${part(id)}/${word}`);
    } catch (error) {
      say(`Not done: ${error.message}`);
    }
    await watch.refresh();
  };
  const [table, show] = campaignTable(context, sums, act);
  const pages = new Pages(() => watch.refresh());
  const watch = new Watch({
    content: el("div", {}, table.element, pages.element),
    async load() {
      const page = await api.get("v1/campaigns", { before: pages.place, limit: PAGE });
      await sums.learn(page.items);
      return page;
    },
    show({ items, next }) {
      pages.show(next);
      show(items);
    },
  });
  const place = el("div", { hidden: true });
  const close = () => {
    place.hidden = true;
    place.replaceChildren();
    begin.focus();
  };
  const begin = button("New campaign", () => {
    place.replaceChildren(campaignForm({ api, leave: close, begun: ({ id }) => (location.hash = campaignAt(id)) }));
    place.hidden = false;
    place.querySelector("select").focus();
  }, { class: "button primary" });
  root.append(
    el("div", { class: "bar" }, begin), place,
    el("section", { class: "card", "aria-label": "Campaigns" }, watch.element),
  );
  every(EVERY_MS, () => watch.poll());
}

function open(root, context) {
  if (context.query.id) openCampaign(root, context);
  else openList(root, context);
}

export const campaigns = { id: "campaigns", title: "Campaigns", open };
