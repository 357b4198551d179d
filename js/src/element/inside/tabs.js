/** The tabs above the list: what is not archived, what is unread, what is archived, and each category. */

import { h } from "../parts.js";
import { go, VERTICAL } from "./keys.js";

/** @typedef {{view: string, category: string, text: string, count?: number}} Tab */

/** Between two tabs, as the style sheet has it. */
const GAP_PX = 2;
/** What is so little too wide is rounding: where the room is as wide as the tabs, they fit. */
const ROUNDED_PX = 1;

/** @param {Element} element */
const widthOf = (element) => element.getBoundingClientRect().width;

/** @param {Element} strip */
const childrenOf = (strip) => /** @type {HTMLElement[]} */ ([...strip.children]);

export class Tabs {
  #of;
  /** Those for which there is no room: they are in a menu. The chosen one never is. @type {string[]} */
  #away = [];
  #open = false;
  /** The widest that the menu's button has been; so what fits does not depend on the number in it. */
  #moreWidth = 0;
  /** @type {Element | null} */
  #watched = null;
  #observer = new ResizeObserver(() => this.painted());

  /** @param {import("../element.js").RedDotElement} of */
  constructor(of) {
    this.#of = of;
  }

  /** @param {Tab[]} all @param {(tab: Tab) => boolean} isChosen */
  view(all, isChosen) {
    const { say, locale } = this.#of;
    /** @type {(tab: Tab) => import("../render.js").Child} */
    const label = ({ text, count = 0 }) => [text, count > 0 && h("span", "count", {}, count.toLocaleString(locale))];
    const away = all.filter((tab) => this.#away.includes(tab.view + tab.category) && !isChosen(tab));
    /** @type {(tab: Tab) => import("../render.js").Child} */
    const show = (tab) => {
      const chosen = isChosen(tab);
      const attributes = { role: "tab", do: "tab", "data-view": tab.view, "data-category": tab.category, "aria-controls": "list", tabindex: chosen ? 0 : -1 };
      return h("button", `tab${away.includes(tab) ? " away" : ""}`, { key: tab.view + tab.category, id: chosen && "tab", "aria-selected": `${chosen}`, ...attributes }, label(tab));
    };
    const open = this.#open && away.length > 0;
    // As wide while it is hidden as it will be: what fits does not depend on what did.
    const count = (away.length ? away : all).reduce((sum, tab) => sum + (tab.count ?? 0), 0);
    return h(
      "div",
      "tabs",
      { key: "tabs" },
      h("div", "strip", { role: "tablist", "aria-label": say("Notifications") }, all.map(show)),
      h("button", `tab others${away.length ? "" : " away"}`, { do: "others", "aria-haspopup": "menu", "aria-expanded": `${open}` }, label({ view: "", category: "", text: say("More"), count }), h("i", "", { "aria-hidden": "true" })),
      open && h("div", "rest", { key: "menu", role: "menu", tabindex: -1, "aria-label": say("More") }, away.map((tab) => h("button", "", { role: "menuitem", do: "tab", tabindex: -1, "data-view": tab.view, "data-category": tab.category }, label(tab)))),
    );
  }

  /** Find out what there is room for: what is there has become what is to be there, or the room is another. */
  painted() {
    const bar = this.#of.find(".tabs");
    if (bar !== this.#watched) {
      this.#observer.disconnect();
      if (bar) this.#observer.observe(bar);
      this.#watched = bar;
    }
    if (!bar?.clientWidth) return;
    const [strip, more] = childrenOf(bar);
    const tabs = childrenOf(strip);
    const { paddingInlineStart, paddingInlineEnd } = getComputedStyle(bar);
    let room = widthOf(bar) - parseFloat(paddingInlineStart) - parseFloat(paddingInlineEnd) + GAP_PX + ROUNDED_PX;
    /** @type {Set<HTMLElement>} */
    const away = new Set();
    if (tabs.reduce((sum, tab) => sum + widthOf(tab) + GAP_PX, 0) > room) {
      this.#moreWidth = Math.max(this.#moreWidth, widthOf(more));
      room -= this.#moreWidth;
      // The chosen one takes its place first.
      for (const tab of [...tabs].sort((one, other) => Number(other.id === "tab") - Number(one.id === "tab"))) {
        room -= widthOf(tab) + GAP_PX;
        if (room < 0) away.add(tab);
      }
    }
    const names = [...away].map(({ dataset }) => `${dataset.view}${dataset.category}`);
    if (`${names}` === `${this.#away}`) return;
    this.#away = names;
    this.#of.paint();
  }

  /** Open the menu, or close it. */
  toggle(open = !this.#open) {
    if (open === this.#open) return;
    this.#open = open;
    this.#of.paintNow();
    (open ? this.#items()[0] : this.#of.find(".others"))?.focus();
  }

  /** One was chosen, in the menu or beside it. @param {HTMLElement} target */
  chosen(target) {
    this.#open = false;
    if (target.role !== "menuitem") return;
    this.#of.paintNow();
    this.#of.find("#tab")?.focus();
  }

  /** Who leaves the menu closes it. @param {EventTarget | null} to */
  left(to) {
    if (!this.#open || this.#of.find(".rest")?.contains(/** @type {Node | null} */ (to))) return;
    this.#open = false;
    this.#of.paint();
  }

  #items() {
    const menu = this.#of.find(".rest");
    return menu ? childrenOf(menu) : [];
  }

  /** Go where a key leads. @param {KeyboardEvent} event @param {HTMLElement} target @returns {boolean | undefined} whether it leads anywhere */
  key(event, target) {
    const { key } = event;
    const items = this.#items();
    if (items.length && target.closest(".rest, .others")) {
      // What closes the menu does not close the panel.
      if (key === "Escape") event.stopPropagation();
      if (key === "Escape") return this.toggle(false), true;
      return !!go(key, VERTICAL, items, target);
    }
    const others = target.matches(".others");
    if (!others && target.role !== "tab") return undefined;
    if (others && key === "ArrowDown") return this.toggle(true), true;
    const shown = childrenOf(/** @type {Element} */ (this.#of.find(".tabs"))).flatMap((one) => (one.role === "tablist" ? childrenOf(one) : one));
    const all = shown.filter((one) => one.matches(".tab:not(.away)"));
    const sideways = getComputedStyle(target).direction === "rtl" ? ["ArrowLeft", "ArrowRight"] : ["ArrowRight", "ArrowLeft"];
    const next = go(key, sideways, all, target);
    if (next?.role === "tab") next.click();
    return !!next;
  }
}
