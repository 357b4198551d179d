/** The settings in force; those that are not the defaults stand out. */

import { el, setText } from "../dom.js";
import { plural } from "../format.js";
import { card, field, input } from "../parts.js";
import { Watch } from "../watch.js";

function words(value) {
  if (value === null || value === "" || (Array.isArray(value) && !value.length)) return "none";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Help texts write names between backticks. */
function help(text) {
  return text.split("`").map((part, i) => (i % 2 ? el("code", {}, part) : part));
}

function row({ name, value, default: usual, unit, help: text }) {
  const changed = words(value) !== words(usual);
  const shown = el("dd", {}, el("code", {}, words(value)), unit ? ` ${unit}` : null,
    changed ? el("span", { class: "soft" }, ` instead of ${words(usual)}`) : null);
  return el("div", { class: changed ? "setting changed" : "setting" },
    el("dt", {}, el("code", {}, name), changed ? el("span", { class: "hidden-text" }, " (changed)") : null), shown, el("dd", { class: "help" }, ...help(text)));
}

function open(root, { api, admin }) {
  if (!admin) {
    root.append(el("p", { class: "message" }, "You are signed in with a server's key. Settings are shown to administrators."));
    return;
  }
  const text = input("text", { type: "search", placeholder: "sessions" });
  const changedOnly = el("input", { type: "checkbox", name: "changed" });
  const summary = el("p", { class: "summary", role: "status" });
  const groups = el("div", { class: "stack" });
  let items = [];
  const draw = () => {
    const wanted = text.value.trim().toLowerCase();
    const shown = items.filter((one) =>
      `${one.name} ${one.help}`.toLowerCase().includes(wanted) &&
      (!changedOnly.checked || words(one.value) !== words(one.default)));
    setText(summary, `${plural(shown.length, "setting")} of ${items.length}`);
    groups.replaceChildren(...[...new Set(shown.map(({ group }) => group))].map((group) =>
      card(group, el("dl", { class: "settings-list" }, ...shown.filter((one) => one.group === group).map(row)))));
  };
  const watch = new Watch({
    content: groups,
    load: () => api.get("v1/settings"),
    show(found) {
      items = found.items;
      draw();
    },
  });
  root.append(
    el("form", { class: "bar", role: "search", on: { submit: (event) => event.preventDefault(), input: draw } },
      field("Find", text), el("label", { class: "check" }, changedOnly, "Changed only"), summary),
    watch.element,
  );
  void watch.refresh();
}

export const settings = { id: "settings", title: "Settings", open };
