/** The tabs above the list: what is not archived, what is unread, what is archived, and each category. */

import { h } from "../parts.js";
import { step } from "./keys.js";

/**
 * @param {import("../element.js").RedDotElement} of
 * @param {import("../session.js").Session["badge"]} badge
 * @param {string[]} categories that have a tab
 * @param {(view: string, category: string) => boolean} isChosen
 */
export function tabs({ say, locale }, badge, categories, isChosen) {
  /** @type {(view: string, category: string, text: string, count?: number) => import("../render.js").Child} */
  const tab = (view, category, text, count = 0) => {
    const chosen = isChosen(view, category);
    const attributes = { role: "tab", do: "tab", "data-view": view, "data-category": category, "aria-controls": "list", tabindex: chosen ? 0 : -1 };
    return h(
      "button",
      "tab",
      { key: view + category, id: chosen && "tab", "aria-selected": `${chosen}`, ...attributes },
      text,
      count > 0 && h("span", "count", {}, count.toLocaleString(locale)),
    );
  };
  return h(
    "div",
    "tabs",
    { key: "tabs", role: "tablist", "aria-label": say("Notifications") },
    tab("all", "", say("All")),
    tab("unread", "", say("Unread"), badge?.unread),
    tab("archived", "", say("Archived")),
    categories.map((one) => tab("all", one, one, badge?.by_category[one])),
  );
}

/** Go where a key leads from a tab. @type {(key: string, target: Element) => boolean} */
export function keyOfTabs(key, target) {
  const all = /** @type {HTMLElement[]} */ ([...(target.parentElement?.children ?? [])]);
  const sideways = getComputedStyle(target).direction === "rtl" ? ["ArrowLeft", "ArrowRight"] : ["ArrowRight", "ArrowLeft"];
  const tab = all[step(key, sideways, all.indexOf(/** @type {HTMLElement} */ (target)), all.length)];
  if (!tab) return false;
  tab.click();
  tab.focus();
  return true;
}
