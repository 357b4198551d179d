/** What went wrong lately: what was refused, and what the log complained about. */

import { el, setText } from "../dom.js";
import { ago, count, plural, stamp } from "../format.js";
import { field, select } from "../parts.js";
import { Table } from "../table.js";
import { Watch } from "../watch.js";

const EVERY_MS = 2000;

function open(root, { api, live, every }) {
  const kind = select("kind", [["", "All"], ["refused", "Refused"], ["logged", "From the log"]]);
  const summary = el("p", { class: "summary", role: "status" });
  const table = new Table({
    label: "Errors",
    key: (one) => [one.kind, one.code, one.where, one.detail].join("\n"),
    empty: "Nothing went wrong.",
    columns: [
      { title: "What", class: "mono", text: ({ code }) => code },
      {
        title: "Kind",
        node: (one) => el("span", { class: "state", "data-state": one.kind }, one.kind),
        version: (one) => one.kind,
      },
      { title: "Where", class: "name mono", text: ({ where }) => where || "–" },
      { title: "Detail", class: "detail", text: ({ detail }) => detail || "–" },
      { title: "Times", class: "number", text: (one) => count(one.count) },
      { title: "Last", class: "number", text: ({ last }) => ago(last, live.now()), hint: ({ first, last }) => `first ${stamp(first)}\nlast ${stamp(last)}` },
    ],
  });
  const watch = new Watch({
    content: el("div", {}, table.element),
    load: () => api.get("v1/errors"),
    show({ items }) {
      const shown = items.filter((one) => !kind.value || one.kind === kind.value);
      table.show(shown);
      setText(summary, `${plural(shown.length, "kind")} of error, newest first`);
    },
  });
  root.append(
    el("form", { class: "bar", on: { submit: (event) => event.preventDefault(), input: () => watch.refresh() } }, field("Show", kind)),
    el("section", { class: "card", "aria-label": "Errors" }, el("div", { class: "card-row" }, summary), watch.element),
  );
  every(EVERY_MS, () => watch.poll());
}

export const errors = { id: "errors", title: "Errors", open };
