/** One delivery as several sections show it. */

import { el } from "./dom.js";
import { NONE, ago } from "./format.js";
import { STATES, moment, why } from "./words.js";

/** The address of a journey, for links. */
export function journeyOf(notification, user = "") {
  const query = new URLSearchParams({ id: notification, ...(user ? { user } : {}) });
  return `#journey?${query}`;
}

export function stateNode({ state }) {
  return el("span", { class: "state", "data-state": state }, STATES[state] ?? state);
}

export function whyNode(one) {
  return el("span", {}, why(one), one.detail ? el("span", { class: "said" }, one.detail) : null);
}

/** When it happens next or has happened, by the server's clock. */
export function momentText(one, nowMs) {
  const [word, time] = moment(one);
  if (word === "due") return Date.parse(time) <= nowMs ? "now" : ago(time, nowMs);
  return time ? ago(time, nowMs) : NONE;
}
