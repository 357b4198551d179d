/** What a row of the list shows. */

import { h, tool } from "../parts.js";
import { ago } from "./ago.js";
import { ARCHIVE, BACK, READ, SNOOZE, UNREAD } from "./icons.js";
import { avatar, content } from "./notice.js";
import { menu, shortTime } from "./snooze.js";

/**
 * @typedef {import("../../inbox.js").Item} Item
 * @typedef {import("../element.js").RedDotElement} RedDotElement
 * @typedef {import("../render.js").Child} Child
 */

/** @type {(of: RedDotElement, item: Item, at: number, size: number, tabindex: number, snoozing: boolean) => Child} */
export function rowOf(of, item, at, size, tabindex, snoozing) {
  const { say, locale } = of;
  const { id, archived, category, time, snoozed_until, data } = item;
  const read = item.read || snoozed_until;
  const own = (of.row ?? of.host?.row)?.(item);
  const urgent = data.priority === "urgent";
  const full = new Date(time).toLocaleString(locale, { dateStyle: "full", timeStyle: "short" });
  const when = snoozed_until
    ? h("time", "time", { datetime: `${snoozed_until}` }, say("Back {time}", { time: shortTime(locale, new Date(snoozed_until)) }))
    : h("time", "time", { datetime: time, title: full }, ago(locale, Date.parse(time)));
  return h(
    "article",
    `row${read ? "" : " unread"}${urgent ? " urgent" : ""}`,
    { key: id, tabindex, do: "open", "data-id": id, "aria-posinset": at + 1, "aria-setsize": size, "aria-labelledby": `w${at} t${at}` },
    avatar(item),
    h(
      "div",
      "content",
      { id: own && `t${at}` },
      h("span", "aloud", { id: `w${at}` }, !read && say("Unread"), urgent && ` ${say("Urgent")}`),
      own ?? content(item, tabindex, `t${at}`),
      h("span", "meta", {}, h("span", "chip", {}, category), when),
    ),
    h(
      "span",
      "tools",
      {},
      !snoozed_until && tool(read ? UNREAD : READ, say(read ? "Mark as unread" : "Mark as read"), "read", { tabindex }),
      tool(SNOOZE, say("Snooze"), "snooze", { tabindex, "aria-haspopup": "menu", "aria-expanded": `${snoozing}` }),
      snoozed_until
        ? tool(BACK, say("Move to inbox"), "wake", { tabindex })
        : tool(archived ? BACK : ARCHIVE, say(archived ? "Move to inbox" : "Archive"), "archive", { tabindex }),
    ),
    snoozing && menu(of),
  );
}

/** @param {RedDotElement} of @returns {HTMLElement[]} the rows that are there */
export function articles({ shadowRoot }) {
  return [.../** @type {ShadowRoot} */ (shadowRoot).querySelectorAll("article")];
}
