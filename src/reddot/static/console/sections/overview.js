/** What is going on: four plots, the transports, health, what was refused. */

import { el, setText } from "../dom.js";
import { bytes, count, short, span, stamp } from "../format.js";
import { card } from "../parts.js";
import { Plot } from "../plot.js";
import { Table } from "../table.js";

const NAMES = {
  short_poll: "Short polling",
  long_poll: "Long polling",
  iframe: "iframe stream",
  sse: "Server-sent events",
  websocket: "WebSocket",
  mqtt: "MQTT",
};
const DELIVERED = Object.keys(NAMES).map((name) => `delivered.${name}`);
const TOTALS = [
  ["published_durable", "Published, durable"],
  ["published_ephemeral", "Published, ephemeral"],
  ["duplicates", "Duplicates"],
  ["notifications", "Notifications"],
  ["badges_pushed", "Badges pushed"],
  ["catchup_memory", "Resumes from memory"],
  ["catchup_store", "Resumes from the store"],
  ["gaps", "Gaps told"],
  ["ephemeral_dropped", "Ephemeral, missed by the slow"],
];

/** Term and value of each row, written anew when they change. */
class Facts {
  constructor() {
    this.element = el("dl", { class: "facts" });
    this.values = new Map();
  }

  show(rows) {
    for (const [name, text] of rows) {
      let value = this.values.get(name);
      if (!value) {
        value = el("dd");
        this.values.set(name, value);
        this.element.append(el("div", {}, el("dt", {}, name), value));
      }
      setText(value, text);
    }
  }
}

function transportTable(lines) {
  return new Table({
    label: "Transports",
    key: ({ name }) => name,
    empty: "",
    columns: [
      { title: "Transport", text: ({ name }) => NAMES[name] ?? name },
      { title: "Sessions", class: "number strong", text: (one) => count(one.sessions) },
      { title: "Share", class: "share", node: () => el("i", { class: "meter" }, el("b")) },
      { title: "Delivered / s", class: "number", text: (one) => short(one.rate) },
      { title: "Last 5 min", class: "line", node: ({ name }) => lines.get(name).element },
      { title: "Delivered", class: "number", text: (one) => count(one.deliveries) },
      { title: "Sent", class: "number", text: (one) => bytes(one.bytes_out) },
      { title: "Received", class: "number", text: (one) => bytes(one.bytes_in) },
      { title: "Paused", class: "number", text: (one) => count(one.paused) },
      { title: "Cut off", class: "number", text: (one) => count(one.stalled) },
    ],
  });
}

function healthRows(stats) {
  return [
    ["State", stats.ready ? "Ready for clients" : `Not ready: ${stats.reason}`],
    ["Up for", span(stats.uptime_s)],
    ["Version", stats.version],
    ["Store", stats.store],
    ["Newest position", count(stats.head)],
    ["Memory", bytes(stats.memory_bytes)],
    ["Server's time", stamp(stats.time)],
  ];
}

function open(root, { live, listen }) {
  const plots = [
    [new Plot({ title: "Published", unit: "per second", format: short }), ["published"]],
    [new Plot({ title: "Delivered", unit: "per second", format: short }), DELIVERED],
    [new Plot({ title: "Sent", unit: "per second", format: bytes }), ["bytes_out"]],
    [new Plot({ title: "Sessions", unit: "attached now", format: short }), ["sessions"]],
  ];
  const line = (name) =>
    new Plot({ title: `Delivered over ${name}`, unit: "per second", format: short, height: 24, bare: true });
  const lines = new Map(Object.entries(NAMES).map(([name, title]) => [name, line(title)]));
  const transports = transportTable(lines);
  const [health, totals] = [new Facts(), new Facts()];
  const refused = new Table({
    label: "Refused, by reason",
    key: ([code]) => code,
    empty: "Nothing was refused since the start.",
    columns: [
      { title: "Reason", class: "mono", text: ([code]) => code },
      { title: "Times", class: "number", text: ([, times]) => count(times) },
    ],
  });
  root.append(
    el("div", { class: "tiles" }, ...plots.map(([plot]) => plot.element)),
    card("Transports", transports.element),
    el(
      "div",
      { class: "thirds" },
      card("Health", health.element),
      card("Since the start", totals.element),
      card("Refused, by reason", refused.element),
    ),
  );
  const draw = () => {
    const stats = live.stats;
    if (!stats) return;
    for (const [plot, columns] of plots) plot.draw(live.column(...columns));
    const most = Math.max(1, ...Object.values(stats.transports).map((one) => one.sessions));
    const items = Object.entries(stats.transports).map(([name, one]) => {
      const rates = live.column(`delivered.${name}`);
      lines.get(name)?.draw(rates);
      return { ...one, name, rate: rates.at(-1) ?? 0 };
    });
    transports.show(items.filter(({ name }) => lines.has(name)));
    for (const [key, row] of transports.rows) {
      const share = stats.transports[key].sessions / most;
      row.element.querySelector(".meter b").style.setProperty("--share", share);
    }
    health.show(healthRows(stats));
    totals.show(TOTALS.map(([name, title]) => [title, count(stats.counters[name])]));
    refused.show(Object.entries(stats.rejected).sort(([, a], [, b]) => b - a));
  };
  listen(draw);
  draw();
}

export const overview = { id: "overview", title: "Overview", open };
