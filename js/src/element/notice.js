/** What rows and toasts show alike. What others wrote is text, never HTML. */

import { h, safeUrl } from "./render.js";

/** @typedef {import("./render.js").Child} Child */
/** @typedef {{id: string, category: string, data: any}} Notice an item of the list, or what has just come */

const ACTIONS_MAX = 2;

export const ICONS = {
  bell: "M6 9a6 6 0 1 1 12 0c0 6 2.500 8 2.500 8h-17S6 15 6 9m4 11a2.200 2.200 0 0 0 4 0",
  all: "m2 13 4 4L16 7m-5 9 1 1L22 7",
  settings: "M4 7h9m5 0h2M4 17h2m5 0h9M13 7a2 2 0 1 0 5 0 2 2 0 1 0-5 0M6 17a2 2 0 1 0 5 0 2 2 0 1 0-5 0",
  close: "m6 6 12 12M18 6 6 18",
  archive: "M4 5h16v4H4zm1 4v10h14V9m-9 4h4",
  back: "M9 14 4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3",
  read: "m5 12 5 5 9-10",
  unread: "M8 12a4 4 0 1 0 8 0 4 4 0 1 0-8 0",
};

/** @param {keyof typeof ICONS} name */
export const icon = (name) => h("svg", "", { viewBox: "0 0 24 24", "aria-hidden": "true" }, h("path", "", { d: ICONS[name] }));

/** @type {(name: keyof typeof ICONS, label: string, deed: string, attributes?: object) => Child} */
export const tool = (name, label, deed, attributes) =>
  h("button", "tool", { key: deed, do: deed, "aria-label": label, title: label, ...attributes }, icon(name));

/** @param {Notice} notice */
export function avatar({ category, data }) {
  const src = safeUrl(data.icon, /^https?:$/);
  const image = src && h("img", "", { key: src, src, alt: "", loading: "lazy", referrerpolicy: "no-referrer" });
  return h("span", "avatar", { "aria-hidden": "true" }, [...category][0]?.toUpperCase(), image);
}

/**
 * Title, body and actions; what has an address leads there.
 *
 * @param {Notice} notice
 * @param {number} tabindex
 * @param {string} [id] of the title
 * @returns {Child[]}
 */
export function content({ data }, tabindex, id) {
  /** @type {(name: string, of: any, attributes: object) => Child} */
  const link = (name, of, attributes) => {
    const href = safeUrl(of?.url);
    return h(href ? "a" : "button", name, { href, rel: href && "noopener", do: "open", dir: "auto", tabindex, ...attributes }, `${of?.title}`);
  };
  const actions = Array.isArray(data.actions) ? data.actions.slice(0, ACTIONS_MAX) : [];
  return [
    link("title", data, { id }),
    data.body && h("span", "body", { dir: "auto" }, `${data.body}`),
    actions.length > 0 && h("span", "actions", {}, actions.map((/** @type {any} */ one, /** @type {number} */ at) => link("action", one, { "data-at": at }))),
  ];
}

/**
 * Somebody has chosen a notification, or one of its actions: ask the page.
 *
 * @param {import("./element.js").RedDotElement} element
 * @param {Notice} notice
 * @param {HTMLElement} target
 * @param {Event} event
 */
export function choose(element, notice, { dataset: { at } }, event) {
  const action = at && notice.data.actions[at];
  const url = safeUrl((action ?? notice.data).url);
  if (!element.tell("click", { item: notice, action, url })) event.preventDefault();
}
