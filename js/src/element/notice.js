/** What is shown in several places. What others wrote is text, never HTML. */

import { h, safeUrl } from "./render.js";

/** @typedef {import("./render.js").Child} Child */
/** @typedef {{id: string, category: string, data: any}} Notice an item of the list, or what has just come */

const ACTIONS_MAX = 2;
const SKELETONS = 6;

/** Pictures, as the path that a pen takes. */
export const BELL = "M6 9a6 6 0 1 1 12 0c0 6 2.500 8 2.500 8h-17S6 15 6 9m4 11a2.200 2.200 0 0 0 4 0";
export const CLOSE = "m6 6 12 12M18 6 6 18";

/** @param {string} path */
export const icon = (path) => h("svg", "", { viewBox: "0 0 24 24", "aria-hidden": "true" }, h("path", "", { d: path }));

/** @type {(path: string, label: string, deed: string, attributes?: object) => Child} */
export const tool = (path, label, deed, attributes) =>
  h("button", "tool", { key: deed, do: deed, "aria-label": label, title: label, ...attributes }, icon(path));

/** In place of a list that is not there yet, or that could not be loaded. @type {(say: import("./texts.js").Say, failed?: boolean) => Child} */
export const waiting = (say, failed) =>
  failed
    ? h("div", "empty", { key: 2, role: "alert" }, say("Could not load"), h("button", "action", { do: "retry" }, say("Try again")))
    : h("div", "loading", { key: 1 }, Array.from({ length: SKELETONS }, () => h("i")));

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
