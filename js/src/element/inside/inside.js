/** What `<red-dot-inbox>` shows: the list, and what can be done with it. */

import { BELL, h, header, icon, Inbox, tool, waiting } from "../parts.js";
import { explain, footer } from "./debug.js";
import { ALL, BACK, SETTINGS } from "./icons.js";
import { step, VERTICAL } from "./keys.js";
import { choose } from "./notice.js";
import { Preferences } from "./preferences.js";
import { articles, rowOf } from "./rows.js";
import { keyOfMenu } from "./snooze.js";
import { dress } from "./styles.js";
import { Tabs } from "./tabs.js";
import "./texts.js";
import { unread } from "./unread.js";

/**
 * @typedef {import("../../inbox.js").Item} Item
 * @typedef {import("../render.js").Child} Child
 * @typedef {import("../session.js").Session} Session
 */

const TICK_MS = 60_000;
const SCROLLED_PX = 8;
/** With `read-on-view`: how long a row is looked at. */
const VIEWED_MS = 1_000;
const EMPTY = { all: "No notifications yet", unread: "Nothing unread", snoozed: "Nothing snoozed", archived: "Nothing archived" };

/** Of a panel, for the page's `::part()`. */
const PARTS = "header,heading,tabs,tab,count,list,row,unread,urgent,avatar,content,title,body,meta,chip,time,action,tools,tool,menu,choice,others,rest,pill,more,end,empty,banner,note,footer,switch,matrix,span,hours";

export class Inside {
  #of;
  /** @type {Inbox} */
  #inbox = /** @type {any} */ (undefined);
  /** The tab. @type {"all" | "unread" | "snoozed" | "archived"} */
  #view = "all";
  #category = "";
  #preferring = false;
  /** @type {"loading" | "ready" | "error"} */
  #phase = "loading";
  /** What is shown: the inbox's list, but for what has come since somebody scrolled down. @type {Item[]} */
  #rows = [];
  #held = 0;
  /** What "all" means: the list as it is shown. @type {string | undefined} */
  #cursor;
  /** The one up to which all is seen. @type {string | undefined} */
  #seen;
  /** The row that Tab leads to. @type {string | undefined} */
  #current;
  /** The row whose menu is open. @type {string | undefined} */
  #snoozing;
  #note = "";
  /** @type {(() => void) | undefined} */
  #undo;
  #preferences;
  #tabs;
  #why = "";
  /** Ids of unread rows that were on the screen a second ago. @type {string[]} */
  #viewed = [];

  #failed = () => this.#show("That did not work");
  #sentinel = new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && this.#more());

  /** @type {import("../element.js").RedDotElement["deeds"]} */
  deeds = {
    tab: (target) => {
      this.#select(target.dataset);
      this.#tabs.chosen(target);
    },
    others: () => this.#tabs.toggle(),
    open: (target, event) => {
      const item = this.#itemOf(target);
      this.#current = item.id;
      choose(this.#of, item, target, event);
      if (!item.read && !item.snoozed_until) this.#mark([item.id], "read");
    },
    read: (target) => this.#toggle(this.#itemOf(target)),
    archive: (target) => this.#archive(this.#itemOf(target)),
    snooze: (target) => this.#offer(this.#itemOf(target)),
    until: (target) => this.#snooze(this.#itemOf(target), `${target.dataset.until}`),
    wake: (target) => this.#snooze(this.#itemOf(target), null),
    all: () => this.#markAll(),
    undo: () => this.#undo?.(),
    pill: () => {
      this.#update(true);
      this.#go(0);
      this.#of.find(".list")?.scrollTo(0, 0);
    },
    retry: () => this.#load(),
    more: () => this.#more(),
    settings: () => this.#turn(true),
    back: () => this.#turn(false),
    mute: ({ dataset }) => this.#preferences.mute(`${dataset.of}`, dataset.by).catch(this.#failed),
    quiet: () => this.#preferences.quiet().catch(this.#failed),
    zone: () => this.#preferences.zone().catch(this.#failed),
    alert: ({ dataset }) => this.#preferences.alert(/** @type {any} */ (dataset.of)),
  };

  /** @param {import("../element.js").RedDotElement} of the element that it is in */
  constructor(of) {
    this.#of = of;
    if (of.host) of.setAttribute("exportparts", PARTS);
    this.#preferences = new Preferences(of);
    this.#tabs = new Tabs(of);
    const root = /** @type {ShadowRoot} */ (of.shadowRoot);
    dress(of);
    root.addEventListener("change", ({ target }) => this.#changed(/** @type {any} */ (target)));
    root.addEventListener("focusout", (event) => this.#tabs.left(/** @type {FocusEvent} */ (event).relatedTarget));
    root.addEventListener("keydown", (event) => this.#key(/** @type {KeyboardEvent} */ (event)));
    // How long a note stays says the style sheet.
    root.addEventListener("animationend", ({ target }) => target === this.#of.find(".note") && this.#show(""));
    root.addEventListener("focusin", ({ target }) => {
      if (!this.#snoozing || /** @type {Element} */ (target).closest(".menu, [do=snooze]")) return;
      this.#snoozing = undefined;
      of.paint();
    });
    root.addEventListener("scroll", () => this.#held && this.#update(), true);
  }

  /** @param {Session} session */
  joined(session) {
    const { client } = session;
    // In a panel it is the list of the bell, which shows a mark before it is answered.
    const inbox = (this.#inbox = this.#of.host ? client.inbox : new Inbox(client.api));
    const see = () => this.#see();
    const ticks = [setInterval(() => this.#of.paint(), TICK_MS), setInterval(() => this.#has("read-on-view") && this.#readViewed(), VIEWED_MS)];
    document.addEventListener("visibilitychange", see);
    this.#of.ends.push(
      inbox.on("items", () => this.#update()),
      client.on("badge", (badge) => inbox.take(badge)),
      client.on("gap", (gap) => inbox.miss(gap)),
      session.on("live", () => this.#phase === "error" && this.#load()),
      () => {
        ticks.forEach(clearInterval);
        document.removeEventListener("visibilitychange", see);
        this.#sentinel.disconnect();
        inbox.leave();
      },
    );
    void this.#load();
    if (this.#has("debug")) explain(client).then((why) => (this.#why = why), () => {});
  }

  /** Go to the row where somebody was, or to the heading. */
  focus() {
    this.#of.paintNow();
    (this.#rowOf(this.#current) ?? this.#of.find("h2"))?.focus();
  }

  /** What is there has become what is to be there. */
  painted() {
    // Observed anew, it says again whether it is to be seen.
    this.#sentinel.disconnect();
    const more = this.#of.find(".more");
    if (more) this.#sentinel.observe(more);
    this.#tabs.painted();
  }

  // ---- what is shown ----

  /** @param {Session} session */
  view(session) {
    const { say } = this.#of;
    const list = !this.#preferring;
    return [
      list
        ? header(this.#of, "Notifications", false, [/all|unread/.test(this.#view) && tool(ALL, say("Mark all as read"), "all"), tool(SETTINGS, say("Preferences"), "settings")])
        : header(this.#of, "Preferences", tool(BACK, say("Back"), "back")),
      list ? [this.#bar(session), this.#banner(session), this.#list()] : h("div", "list", { key: "preferences" }, this.#preferences.view()),
      h("div", this.#note && "note", { key: "note" }, h("span", "", { role: "status" }, this.#note), this.#undo && h("button", "", { do: "undo" }, say("Undo"))),
      h("slot", "", { key: "footer", name: "footer" }, this.#has("debug") && footer(session, this.#why && say("Why this number?"), this.#why)),
    ];
  }

  /** @param {Session} session */
  #bar({ badge }) {
    const { say } = this.#of;
    const { categories } = this.#preferences;
    const counts = badge?.by_category ?? {};
    for (const one of Object.keys(counts)) categories.add(one);
    const all = [
      { view: "all", category: "", text: say("All") },
      { view: "unread", category: "", text: say("Unread"), count: badge?.unread },
      { view: "snoozed", category: "", text: say("Snoozed") },
      { view: "archived", category: "", text: say("Archived") },
      ...(categories.size > 1 ? [...categories].sort() : []).map((one) => ({ view: "all", category: one, text: one, count: counts[one] })),
    ];
    return this.#tabs.view(all, ({ view, category }) => view === this.#view && category === this.#category);
  }

  /** @param {Session} session */
  #banner({ client, signedOut, stale, syncedAt }) {
    const { say, locale } = this.#of;
    const closed = signedOut || client.state === "closed";
    const time = new Date(syncedAt).toLocaleTimeString(locale, { timeStyle: "short" });
    const text = closed ? say("Signed out") : [say("No connection"), syncedAt && say("Last updated {time}", { time })].filter(Boolean).join(" · ");
    return (closed || stale) && h("p", "banner", { key: "banner" }, text);
  }

  #list() {
    const { say } = this.#of;
    const phases = {
      loading: () => waiting(say),
      error: () => waiting(say, true),
      ready: () => (this.#rows.length ? this.#feed() : h("slot", "", { key: 3, name: "empty" }, h("div", "empty", {}, icon(BELL), say(EMPTY[this.#view])))),
    };
    const attributes = { id: "list", role: "tabpanel", "aria-labelledby": "tab", "aria-busy": `${this.#phase === "loading"}` };
    return h("div", "list", { key: "list", ...attributes }, phases[this.#phase]());
  }

  #feed() {
    const { say } = this.#of;
    const rows = this.#rows;
    const { hasMore } = this.#inbox;
    const current = this.#rowOf(this.#current) ? this.#current : rows[0].id;
    return [
      this.#held > 0 && h("button", "pill", { key: "pill", do: "pill" }, say("{n} new", { n: this.#held })),
      h("div", "", { key: "feed", role: "feed", "aria-label": say("Notifications") }, rows.map((item, at) => rowOf(this.#of, item, at, hasMore ? -1 : rows.length, item.id === current ? 0 : -1, item.id === this.#snoozing))),
      hasMore ? h("button", "more", { key: "more", do: "more" }, say("Load more")) : h("p", "end", { key: "end" }, say("You're all caught up")),
    ];
  }

  // ---- the list ----

  async #load() {
    this.#phase = "loading";
    this.#rows = [];
    this.#of.paint();
    const [view, category] = [this.#view, this.#category];
    const phase = await this.#inbox.list({ view, category: category || undefined }).then(() => /** @type {const} */ ("ready"), () => /** @type {const} */ ("error"));
    if (view !== this.#view || category !== this.#category) return;
    this.#phase = phase;
    this.#update();
  }

  #more() {
    this.#inbox.more().catch(this.#failed);
  }

  /** Take what the inbox has, but not from under the eyes of who has scrolled down. @param {boolean} [anyhow] */
  #update(anyhow) {
    this.#of.paint();
    if (this.#phase !== "ready") return;
    const { items, cursor } = this.#inbox;
    const { scrollTop = 0 } = this.#of.find(".list") ?? {};
    const away = !anyhow && Math.max(scrollTop, -this.#of.getBoundingClientRect().top) > SCROLLED_PX;
    const top = this.#rows.find(({ id }) => items.some((one) => one.id === id))?.id;
    this.#held = away ? Math.max(0, items.findIndex(({ id }) => id === top)) : 0;
    if (!this.#held) this.#cursor = cursor;
    this.#rows = items.slice(this.#held);
    for (const { category } of items) this.#preferences.categories.add(category);
    this.#see();
  }

  /** Who looks at the list has seen what is on it. */
  #see() {
    if (document.hidden || !this.#of.session?.badge?.unseen || this.#phase !== "ready" || this.#seen === this.#cursor) return;
    this.#seen = this.#cursor;
    this.#inbox.mark("all", "seen", undefined, this.#cursor).catch(() => (this.#seen = undefined));
  }

  #readViewed() {
    const { top, bottom } = /** @type {HTMLElement} */ (this.#of.find(".list")).getBoundingClientRect();
    const seen = articles(this.#of).filter((row) => {
      const box = row.getBoundingClientRect();
      return !document.hidden && box.top >= Math.max(0, top) && box.bottom <= Math.min(innerHeight, bottom);
    });
    const ids = seen.flatMap((row) => (this.#itemOf(row).read || this.#view === "snoozed" ? [] : this.#itemOf(row).id));
    const done = ids.filter((id) => this.#viewed.includes(id));
    this.#viewed = ids;
    if (done.length) this.#mark(done, "read");
  }

  // ---- what somebody does ----

  /**
   * @param {string[]} ids
   * @param {import("../../inbox.js").As} as
   */
  #mark(ids, as) {
    this.#inbox.mark(ids, as).catch(this.#failed);
  }

  /** @param {Item} item */
  #toggle({ id, read }) {
    this.#mark([id], read ? "unread" : "read");
  }

  /** @param {Item} item */
  #archive(item) {
    this.#leave(item);
    this.#mark([item.id], item.archived ? "unarchived" : "archived");
    this.focus();
  }

  /** A row is about to go: another one is the current one. @param {Item} item */
  #leave(item) {
    const at = this.#rows.indexOf(item);
    this.#current = (this.#rows[at + 1] ?? this.#rows[at - 1])?.id;
  }

  /** Open the menu of a row, or close it. @param {Item} [item] */
  #offer(item) {
    this.#snoozing = item?.id === this.#snoozing ? undefined : item?.id;
    if (!this.#snoozing) return this.focus();
    this.#current = this.#snoozing;
    this.#of.paintNow();
    this.#of.find(".menu")?.scrollIntoView({ block: "nearest" });
    this.#of.find(".choice")?.focus();
  }

  /**
   * @param {Item} item
   * @param {string | null} until null: it comes back now
   */
  #snooze(item, until) {
    this.#snoozing = undefined;
    this.#leave(item);
    const done = this.#inbox.snooze(item.id, until);
    if (until) {
      this.#show("Snoozed", () => {
        this.#show("");
        done.then(() => this.#inbox.snooze(item.id, null)).catch(this.#failed);
      });
    }
    done.catch(this.#failed);
    this.focus();
  }

  async #markAll() {
    const [category, cursor] = [this.#category || undefined, this.#cursor];
    const ids = await unread(/** @type {Session} */ (this.#of.session), this.#rows, category).catch(() => /** @type {string[]} */ ([]));
    const done = this.#inbox.mark("all", "read", category, cursor);
    this.#show("All marked as read", () => {
      this.#show("");
      done.then(() => this.#mark(ids, "unread"));
    });
    done.catch(this.#failed);
  }

  /**
   * @param {string} text none: say nothing any more
   * @param {() => void} [undo]
   */
  #show(text, undo) {
    this.#note = text && this.#of.say(text);
    this.#undo = undo;
    this.#of.paint();
  }

  /** @param {DOMStringMap} tab */
  #select({ view, category = "" }) {
    this.#view = /** @type {any} */ (view);
    this.#category = category;
    this.#current = this.#snoozing = undefined;
    void this.#load();
  }

  /** @param {boolean} preferring */
  #turn(preferring) {
    this.#preferring = preferring;
    this.focus();
    if (preferring) this.#preferences.load().catch(this.#failed);
  }

  /** Something was chosen or typed: what it is for says its attribute `change`. @param {HTMLElement} target */
  #changed(target) {
    const deed = target.getAttribute("change");
    // What a page has put into a slot has none.
    if (deed) this.#preferences[/** @type {"span" | "hours"} */ (deed)](/** @type {any} */ (target)).catch(this.#failed);
  }

  // ---- keys ----

  /** @param {KeyboardEvent} event */
  #key(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.#snoozing && event.key === "Escape") {
      // The menu closes, and the panel stays.
      event.preventDefault();
      event.stopPropagation();
      this.#offer();
    } else if (this.#tabs.key(event, target) ?? (target.role === "menuitem" ? keyOfMenu(event.key, target) : !this.#preferring && this.#keyOfRows(event.key, target))) event.preventDefault();
  }

  /** @type {(key: string, target: HTMLElement) => boolean} */
  #keyOfRows(key, target) {
    const row = target.closest("article");
    const item = row && this.#itemOf(row);
    const at = step(key, VERTICAL, item ? this.#rows.indexOf(item) : -1, this.#rows.length);
    if (at >= 0) this.#go(at);
    else if (key === "A") void this.#markAll();
    else if (key === "?") this.#turn(true);
    else if (!item) return false;
    else if (key === "Enter" && target === row) /** @type {HTMLElement} */ (row.querySelector("a, .title") ?? row).click();
    else if (key === "e") this.#archive(item);
    else if (key === "u") this.#toggle(item);
    else if (key === "s") this.#offer(item);
    else return false;
    return true;
  }

  /** @param {number} at */
  #go(at) {
    this.#current = this.#rows[at]?.id;
    this.focus();
  }

  /** @param {Element} target @returns {Item} */
  #itemOf(target) {
    const id = target.closest("article")?.dataset.id;
    return /** @type {Item} */ (this.#rows.find((item) => item.id === id));
  }

  /** @param {string | undefined} id */
  #rowOf(id) {
    return articles(this.#of).find(({ dataset }) => dataset.id === id);
  }

  /** @param {string} attribute */
  #has(attribute) {
    return (this.#of.host ?? this.#of).hasAttribute(attribute);
  }
}
