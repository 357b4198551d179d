/** How a notification looks, in the list and as a toast. What others wrote is text, never HTML. */

import { h } from "../parts.js";

/** @typedef {import("../render.js").Child} Child */
/** @typedef {import("../session.js").Notice} Notice */

const ACTIONS_MAX = 2;

/**
 * An address that may be followed or loaded; others lead nowhere.
 *
 * @param {unknown} value of a notification: anything
 * @param {RegExp} [protocols]
 * @returns {string | undefined}
 */
export function safeUrl(value, protocols = /^(https?|mailto):$/) {
  if (typeof value !== "string" || !value || !URL.canParse(value, document.baseURI)) return undefined;
  const { protocol, href } = new URL(value, document.baseURI);
  return protocols.test(protocol) ? href : undefined;
}

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
 * @param {import("../element.js").RedDotElement} element
 * @param {Notice} notice
 * @param {HTMLElement} target
 * @param {Event} event
 */
export function choose(element, notice, { dataset: { at } }, event) {
  const action = at && notice.data.actions[at];
  const url = safeUrl((action ?? notice.data).url);
  if (!element.tell("click", { item: notice, action, url })) event.preventDefault();
}
