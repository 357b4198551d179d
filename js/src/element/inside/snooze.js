/** When a notification is to come back: the menu of a row. */

import { h } from "../parts.js";
import { go, VERTICAL } from "./keys.js";

/** @typedef {import("../element.js").RedDotElement} RedDotElement */

const HOUR_MS = 3_600_000;
/** When a day begins, for most. */
const MORNING_HOURS = 8;

/** In an hour. @param {Date} now */
export const hourFrom = (now) => new Date(+now + HOUR_MS);

/** The morning of a day, in the time of whoever looks. @param {Date} now @param {number} days from now */
export const morningFrom = (now, days) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, MORNING_HOURS);

/**
 * What is offered, in the time of whoever looks.
 *
 * @param {Date} now
 * @returns {[string, Date][]} what it is called, and when it is
 */
export const times = (now) => [
  ["In 1 hour", hourFrom(now)],
  ["Tomorrow morning", morningFrom(now, 1)],
  // The next Monday.
  ["Next week", morningFrom(now, 7 - ((now.getDay() + 6) % 7))],
];

/** @type {(locale: string, time: Date) => string} the day and the hour */
export const shortTime = (locale, time) => time.toLocaleString(locale, { weekday: "short", month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });

/** @param {RedDotElement} of */
export function menu({ say, locale }) {
  return h(
    "div",
    "menu",
    { key: "menu", role: "menu", "aria-label": say("Snooze") },
    times(new Date()).map(([text, time]) =>
      h("button", "choice", { role: "menuitem", tabindex: -1, do: "until", "data-until": time.toISOString() }, say(text), h("time", "time", { datetime: time.toISOString() }, shortTime(locale, time))),
    ),
  );
}

/** Go where a key leads in the menu. @type {(key: string, target: Element) => boolean} */
export function keyOfMenu(key, target) {
  return !!go(key, VERTICAL, /** @type {HTMLElement[]} */ ([...(target.parentElement?.children ?? [])]), target);
}
