/** Who is attached, over what, how far behind; and ending it. */

import { part } from "../api.js";
import { el, setText } from "../dom.js";
import { bytes, count, plural, span } from "../format.js";
import { field, input, select, sureButton } from "../parts.js";
import { Table } from "../table.js";
import { Watch } from "../watch.js";

const EVERY_MS = 2000;
const SHOWN = 200;
const NAMES = { sse: "SSE", websocket: "WebSocket", mqtt: "MQTT", long_poll: "Long polling", iframe: "iframe" };
const ORDERS = [
  ["newest", "Newest first"], ["age", "Oldest first"], ["lag", "Furthest behind"], ["bytes", "Most sent"],
];
const STATES = { live: "live", catching_up: "catching up", paused: "paused", held: "held" };
const FILTERS_SHOWN = 3;

/** Whether a filter comes with the inbox: all users have these, so they tell least. */
function isInbox(text) {
  return text === "everyone" || text.startsWith("users/");
}

function filterList({ filters }) {
  const ordered = [...filters].sort((a, b) => isInbox(a) - isInbox(b));
  const shown = ordered.slice(0, FILTERS_SHOWN).map((text) => el("code", { class: "tag" }, text));
  const more = filters.length - shown.length;
  const all = filters.join("\n");
  return el("span", { class: "tags", title: all }, ...shown, more ? el("span", { class: "soft" }, `+${more}`) : null);
}

/** The user, who leads to what their badge says. */
function person({ user }) {
  if (user === null) return el("span", { class: "soft" }, "anonymous");
  const explain = () => (location.hash = `#badge?${new URLSearchParams({ user })}`);
  return el("button", { type: "button", class: "link", title: "Why this badge", on: { click: explain } }, user);
}

function open(root, { api, query, say, every }) {
  const controls = {
    user: input("user", { type: "search", value: query.user, placeholder: "any" }),
    topic: input("topic", { type: "search", value: query.topic, placeholder: "any" }),
    transport: select("transport", [["", "All"], ...Object.entries(NAMES)]),
    order: select("order", ORDERS),
  };
  const summary = el("p", { class: "summary", role: "status" });
  const act = el("span", { class: "act" });

  const end = async (path, done) => {
    try {
      say(done(await api.post(path)));
    } catch (error) {
      say(`Not done: ${error.message}`);
    }
    await watch.refresh();
  };
  const table = new Table({
    label: "Sessions",
    key: ({ id }) => id,
    empty: "Nobody like that is attached.",
    columns: [
      { title: "User", class: "name", node: person, version: ({ user }) => user ?? "" },
      { title: "Transport", text: ({ transport }) => NAMES[transport] ?? transport },
      {
        title: "State",
        node: ({ state }) => el("span", { class: "state", "data-state": state }, STATES[state] ?? state),
        version: ({ state }) => state,
      },
      { title: "Filters", node: filterList, version: ({ filters }) => filters.join("\n") },
      { title: "Behind", class: "number", text: ({ lag }) => count(lag), hint: ({ lag }) => `${plural(lag, "publication")} of the log to come` },
      { title: "Sent", class: "number", text: (one) => bytes(one.bytes_out) },
      { title: "Age", class: "number", text: (one) => span(one.age_s) },
      {
        title: "",
        class: "end",
        node: ({ id, user, transport }) =>
          sureButton("Disconnect", `Disconnect ${user ?? "anonymous"} on ${transport}`, () =>
            end(`v1/sessions/${part(id)}/disconnect`, () => "Disconnected. Its client may come back.")),
      },
    ],
  });

  let acting = null;
  const showAct = (user) => {
    if (acting === user) return;
    acting = user;
    const name = `Disconnect all sessions of ${user}`;
    act.replaceChildren(...(user ? [
      sureButton(name, name, () =>
        end(`v1/users/${part(user)}/disconnect`, ({ sessions }) => `Disconnected ${plural(sessions, "session")}.`)),
    ] : []));
  };
  const asked = () => Object.fromEntries(Object.entries(controls).map(([name, one]) => [name, one.value.trim()]));
  const watch = new Watch({
    content: el("div", {}, table.element),
    load: async () => ({ asked: asked(), ...(await api.get("v1/sessions", { ...asked(), limit: SHOWN })) }),
    show({ asked: { user }, sessions, count: found }) {
      table.show(sessions);
      const cut = found > sessions.length ? `, ${sessions.length} shown` : "";
      setText(summary, `${plural(found, "session")}${cut}`);
      showAct(user && found ? user : null);
    },
  });
  root.append(
    el(
      "form",
      { class: "bar", role: "search", on: { submit: (event) => event.preventDefault(), input: () => watch.refresh() } },
      field("User", controls.user),
      field("Hears the topic", controls.topic),
      field("Transport", controls.transport),
      field("Order", controls.order),
    ),
    el("section", { class: "card", "aria-label": "Sessions" }, el("div", { class: "card-row" }, summary, act), watch.element),
  );
  every(EVERY_MS, () => watch.poll());
}

export const sessions = { id: "sessions", title: "Sessions", open };
