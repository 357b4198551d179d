/** A campaign written by hand: whom it would reach is counted and said before it can begin. */

import { el } from "./dom.js";
import { plural, stamp } from "./format.js";
import { button, card, field, input, select } from "./parts.js";

const KINDS = {
  segment: ["Whom", "plan = 'pro' and not country in ('DE', 'AT')", "An expression over what is known of people."],
  users: ["Names", "anna, ben", "Separated by commas, up to 1,000."],
  topic: ["Topic", "teams/7", "Whoever follows it when it starts."],
  everyone: ["", "", ""],
};
const ANY = "*";

function recipients(kind, text) {
  if (kind === "everyone") return { everyone: true };
  const names = text.split(",").map((name) => name.trim()).filter(Boolean);
  return kind === "users" ? { users: names } : { [kind]: text.trim() };
}

/** Whom it would reach as things are, in words. */
async function counted(api, to) {
  const { count } = await api.post("v1/audiences/count", to);
  const people = plural(count, "person", "people");
  if (to.users) return `${people}, by name`;
  if (to.topic) return `whoever follows ${to.topic} when it starts, ${people} as of now`;
  return to.everyone ? `everyone, ${people} known as of now` : `${people}, as of now`;
}

/** How it leaves the house, in words: what the first plan says that has its category. */
async function ways(api, category) {
  const { plans } = await api.get("v1/plans");
  const plan = plans.find(({ categories = [ANY] }) => categories.includes(category) || categories.includes(ANY));
  if (!plan?.couriers.length) return `Inboxes only: no plan has the category ${category}.`;
  const after = (value) => (typeof value === "number" ? `${value} s` : value);
  const steps = plan.couriers.map(({ courier, after: wait }) => (wait ? `${courier} after ${after(wait)} unseen` : `${courier} at once`));
  return `Inboxes, then ${steps.join(", then ")}.`;
}

/** The same id for the same decision, so that pressing again after a silence begins nothing twice. */
function freshId() {
  const bytes = crypto.getRandomValues(new Uint8Array(9));
  return `campaign-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function controls() {
  return {
    kind: select("to", [["segment", "A segment"], ["users", "Users"], ["topic", "Followers of a topic"], ["everyone", "Everyone"]]),
    whom: input("whom", { required: true, maxlength: 2000 }),
    title: input("title", { required: true, maxlength: 500 }),
    body: el("textarea", { name: "body", rows: 3, maxlength: 10_000 }),
    url: input("url", { placeholder: "/sale" }),
    category: input("category", { placeholder: "general" }),
    priority: select("priority", [["", "normal"], ["low", "low"], ["high", "high"], ["urgent", "urgent"]]),
    start: input("publish_at", { type: "datetime-local" }),
    ttl: input("ttl", { type: "number", min: 0, step: "any", placeholder: "never expires" }),
  };
}

function wanted({ kind, whom, title, body, url, category, priority, start, ttl }) {
  const fields = {
    to: recipients(kind.value, whom.value),
    title: title.value,
    body: body.value,
    url: url.value,
    category: category.value.trim(),
    priority: priority.value,
    publish_at: start.value && new Date(start.value).toISOString(),
    ttl: ttl.value && Number(ttl.value),
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ""));
}

/** @param {(campaign: any) => void} begun called with a campaign that there is now */
export function campaignForm({ api, begun, leave }) {
  const all = controls();
  const { kind, whom } = all;
  const check = el("button", { class: "button primary" }, "Count and check");
  const said = el("div", { class: "outcome", role: "status", hidden: true });
  const whomField = field("Whom", whom, { hint: " ", wide: true });
  const say = (look, ...children) => {
    said.className = look;
    said.replaceChildren(...children);
    said.hidden = false;
  };
  const suit = () => {
    const [label, example, hint] = KINDS[kind.value];
    whomField.hidden = kind.value === "everyone";
    whom.required = kind.value !== "everyone";
    whom.placeholder = example;
    whomField.firstChild.textContent = label;
    whomField.lastChild.textContent = hint;
  };
  const refuse = (error) => say("outcome bad", el("strong", {}, "Not done. "), error.message);
  const confirm = async () => {
    const body = { ...wanted(all), id: freshId() };
    const [people, way] = await Promise.all([counted(api, body.to), ways(api, body.category ?? "general")]);
    const begin = button("Begin", async () => {
      begin.disabled = true;
      try {
        begun(await api.post("v1/campaigns", body));
      } catch (error) {
        begin.disabled = false;
        refuse(error);
        said.append(" ", begin);
      }
    }, { class: "button primary" });
    const when = body.publish_at ? `starts ${stamp(body.publish_at)}` : "starts at once";
    say("outcome good", el("strong", {}, `To ${people}; ${when}.`), el("p", {}, way), el("div", { class: "buttons" }, begin));
    begin.focus();
  };
  const submit = async (event) => {
    event.preventDefault();
    check.disabled = true;
    await confirm().catch(refuse);
    check.disabled = false;
  };
  kind.addEventListener("change", suit);
  suit();
  return card("New campaign",
    el("form", { class: "form", "aria-label": "New campaign", on: { submit, input: () => (said.hidden = true) } },
      field("To", kind), field("Start", all.start, { hint: "Empty: at once." }), whomField,
      field("Title", all.title, { wide: true }), field("Body", all.body, { wide: true }),
      field("Category", all.category, { hint: "Its plan says how it leaves the house." }), field("Priority", all.priority),
      field("Address it opens", all.url), field("Seconds until it expires", all.ttl),
      el("div", { class: "options wide" }, button("Discard", leave, { class: "button" }), check)),
    said);
}
