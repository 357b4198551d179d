/** One campaign: how far it is, what came of it over time, pausing and ending it. */

import { part } from "./api.js";
import { journeyOf } from "./delivery.js";
import { el, setText } from "./dom.js";
import { ago, count, plural, stamp } from "./format.js";
import { Lines } from "./lines.js";
import { button, card, sureButton } from "./parts.js";
import { Bar, PARTS, curves, sum } from "./progress.js";
import { Table } from "./table.js";
import { Watch } from "./watch.js";

const EVERY_MS = 2000;
const COUNTS_MS = 5000;
/** Counting is work for the server: it rests so many times as long as it took. */
const REST = 20;
const PARTS_SHOWN = 50;
/** Nothing happens to it any more. */
export const OVER = new Set(["done", "cancelled"]);
const INBOX = [["delivered_live", "delivered", "Delivered"], ["seen", "seen", "Seen"], ["read", "read", "Read"]];

/** To whom, in words. */
export function whom({ to, members, state }) {
  if (to.segment) return `${to.segment}${members || OVER.has(state) ? ` (${plural(members, "person", "people")})` : ""}`;
  if (to.topic) return `followers of ${to.topic}`;
  return to.everyone ? "everyone" : to.users.join(", ");
}

/** What may be done with a campaign. @param {(word: string) => Promise<void>} act */
export function actions({ state, title }, act) {
  if (OVER.has(state)) return [];
  const stop = state === "paused" ? ["Resume", "resume"] : ["Pause", "pause"];
  return [
    button(stop[0], () => act(stop[1]), { "aria-label": `${stop[0]} ${title}` }),
    sureButton("Cancel", `Cancel ${title}`, () => act("cancel")),
  ];
}

function courierTable() {
  const columns = [["made", "In all"], ...PARTS, ["open", "To come"], ["clicked", "Clicked"]];
  return new Table({
    label: "By courier",
    key: ({ courier }) => courier,
    empty: "No delivery yet: they are worked out when it has started.",
    columns: [
      { title: "Courier", text: ({ courier }) => courier },
      ...columns.map(([name, title]) => ({ title, class: "number", text: (one) => count(one[name] ?? 0) })),
    ],
  });
}

function factRows(one, now) {
  return [
    ["To", whom(one)], ["Category", one.category ?? "general"],
    ["Start", `${stamp(one.start)}, ${ago(one.start, now)}`], ["Id", one.id],
    ...(one.error ? [["Given up", one.error]] : []),
  ];
}

function journeys({ id, to, parts }) {
  if (!parts) return [el("span", { class: "hint" }, "It has not gone out yet.")];
  if (!to.segment) return [el("a", { href: journeyOf(id) }, "Person by person")];
  const shown = Math.min(parts, PARTS_SHOWN);
  const links = Array.from({ length: shown }, (_, i) =>
    el("a", { href: journeyOf(`${id}.${i}`) }, parts === 1 ? "Person by person" : `Part ${i + 1}`));
  if (parts > shown) links.push(el("span", { class: "hint" }, `and so on to ${id}.${parts - 1}`));
  return links;
}

/** Delivered, seen and read, from the start of the campaign: as the server wrote it down, and now. */
class Inboxes {
  constructor({ api, live, say }, path) {
    Object.assign(this, { api, live, say, path, dueMs: 0 });
    this.lines = new Lines({ title: "In inboxes", series: INBOX.map(([, name, label]) => [name, label]) });
  }

  /** Count again, if it is time. */
  async renew({ parts }) {
    const began = performance.now();
    if (!parts || began < this.dueMs) return;
    this.dueMs = Infinity; // Not while one is under way.
    try {
      this.#draw(await this.api.get(`${this.path}/counts`), this.live.now());
    } catch (error) {
      this.say(`Not counted: ${error.message}`);
    }
    this.dueMs = performance.now() + Math.max(COUNTS_MS, REST * (performance.now() - began));
  }

  #draw({ samples, ...counts }, now) {
    const points = INBOX.map(([key, name]) => [
      name,
      [...samples.map(({ time, [key]: value }) => [Date.parse(time), value]), [now, counts[key]]],
    ]);
    this.lines.draw(Object.fromEntries(points), now);
  }
}

/** Deliveries over time; of what goes on, up to now. */
function drawProgress(lines, { minutes }, { state }, now) {
  const points = curves(minutes, now);
  if (!OVER.has(state)) for (const line of Object.values(points)) if (line.length) line.push([now, line.at(-1)[1]]);
  lines.draw(points, points.made.at(-1)?.[0] ?? now);
}

export function openCampaign(root, { api, live, every, say, query }) {
  const path = `v1/campaigns/${part(query.id)}`;
  const [title, state] = [el("h2"), el("span", { class: "state" })];
  const facts = el("dl", { class: "facts" });
  const [buttons, links] = [el("div", { class: "buttons" }), el("p", { class: "links" })];
  const bar = new Bar("Progress");
  const couriers = courierTable();
  const review = el("p", { class: "message", hidden: true }, el("span"), " ", el("a", { href: "#review" }, "Review it"));
  const dead = el("p", { class: "message", hidden: true }, el("span"), " ", el("a", { href: `#dead?${new URLSearchParams({ campaign: query.id })}` }, "See why, or send them again"));
  const progress = new Lines({ title: "Deliveries", series: [["made", "In all"], ...PARTS] });
  const inboxes = new Inboxes({ api, live, say }, path);
  let campaign = null;
  const act = async (word) => {
    try {
      await api.post(`${path}/${word}`);
    } catch (error) {
      say(`Not done: ${error.message}`);
    }
    await watch.refresh();
    root.closest("main")?.focus({ preventScroll: true });
  };
  const show = (one) => {
    const was = campaign ?? {};
    campaign = one;
    const [all, now] = [sum(one.progress.totals), live.now()];
    setText(title, one.title);
    setText(state, one.state);
    state.dataset.state = one.state;
    if (one.state !== was.state) buttons.replaceChildren(...actions(one, act));
    if (one.parts !== was.parts) links.replaceChildren(...journeys(one));
    facts.replaceChildren(...factRows(one, now).map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text))));
    bar.show(all);
    review.hidden = all.held <= 0;
    setText(review.firstChild, `${plural(all.held, "delivery is", "deliveries are")} held for review.`);
    dead.hidden = all.dead <= 0;
    setText(dead.firstChild, `${plural(all.dead, "delivery has", "deliveries have")} failed.`);
    couriers.show(Object.entries(one.progress.totals).map(([courier, totals]) => ({ courier, ...totals })));
    drawProgress(progress, one.progress, one, now);
  };
  const watch = new Watch({
    content: el("div", { class: "stack" },
      el("section", { class: "card", "aria-label": "Campaign" },
        el("div", { class: "card-row" }, title, state, buttons), bar.element, facts, links),
      review, dead,
      card("Deliveries", progress.element, couriers.element),
      card("In inboxes", el("p", { class: "hint" }, "Everybody it went to, reached elsewhere or not. Counted for thirty days, at first every ten seconds and ever less often."), inboxes.lines.element)),
    load: () => api.get(path),
    show,
  });
  root.append(el("p", {}, el("a", { href: "#campaigns" }, "All campaigns")), watch.element);
  every(EVERY_MS, async () => {
    await watch.poll();
    if (campaign) await inboxes.renew(campaign);
  });
}
