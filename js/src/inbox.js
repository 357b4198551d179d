/**
 * A user's inbox without any DOM: the list, the badge, and marking.
 *
 * What is shown is derived: what the server said last, and on top of it what was done here and is
 * not answered yet. So a mark shows at once, and one that fails is gone again by itself.
 */

import { Emitter } from "./emitter.js";

/**
 * @typedef {import("./frames.js").Badge} Badge
 * @typedef {"seen" | "read" | "unread" | "archived" | "unarchived" | "deleted"} As
 *
 * @typedef {object} Item
 * @property {string} id
 * @property {string} topic
 * @property {string} time
 * @property {string | null} expires
 * @property {string} category
 * @property {boolean} seen
 * @property {boolean} read
 * @property {boolean} archived
 * @property {any} data `title`, `body`, `url`, `icon`, `priority`, `actions`, `data`
 *
 * @typedef {object} Query
 * @property {"all" | "unread" | "archived"} [view]
 * @property {string} [category]
 * @property {string} [q] words to search for
 * @property {number} [limit]
 *
 * @typedef {{ids: string[]} | {upto: string, category?: string}} Which
 *
 * @typedef {Which & {as: As, op_id: string}} Operation
 */

/** Of a mark that gets no answer; after the last one it is taken back. */
const TRIES = 4;
/** After a change elsewhere the list is fetched anew by all who show it, though not all at once. */
const REFRESH_MS = 200;
/** Rows that the server gives by itself, and at most. */
const PAGE = 20;
const PAGE_MAX = 100;

/** @type {Badge} */
const NO_BADGE = { as_of: -1, unread: 0, unseen: 0, by_category: {} };

/**
 * What an item is once it is marked; undefined: it is gone.
 *
 * @param {Item} item
 * @param {As} as
 * @returns {Item | undefined}
 */
function marked(item, as) {
  if (as === "deleted") return undefined;
  return {
    ...item,
    seen: item.seen || as === "seen",
    read: as === "unread" ? false : item.read || as === "read",
    archived: as === "unarchived" ? false : item.archived || as === "archived",
  };
}

/** A badge that follows what is done to single items. */
class Tally {
  /** @param {Badge} badge */
  constructor(badge) {
    this.badge = { ...badge, by_category: { ...badge.by_category } };
  }

  /**
   * @param {Item} item
   * @param {Item | undefined} next
   */
  move(item, next) {
    const { badge } = this;
    const [before, after] = [item, next].map((one) => Number(!!one && !one.read && !one.archived));
    badge.unseen = Math.max(0, badge.unseen + (next?.seen ? 0 : after) - (item.seen ? 0 : before));
    this.#count(item.category, after - before);
  }

  /**
   * All that the badge counts has been marked.
   *
   * @param {As} as
   * @param {string} [category] only this one
   */
  clear(as, category) {
    const { badge } = this;
    for (const [one, many] of Object.entries(badge.by_category)) {
      if (as !== "seen" && one === (category ?? one)) this.#count(one, -many);
    }
    badge.unseen = category === undefined ? 0 : Math.min(badge.unseen, badge.unread);
  }

  /**
   * @param {string} category
   * @param {number} step
   */
  #count(category, step) {
    const { badge } = this;
    const left = Math.max(0, (badge.by_category[category] ?? 0) + step);
    badge.unread = Math.max(0, badge.unread + step);
    badge.by_category[category] = left;
    if (!left) delete badge.by_category[category];
  }
}

export class Inbox extends Emitter {
  #api;
  /** @type {Badge} */
  #badge = NO_BADGE;
  /** The one on which what is not answered yet is counted. */
  #before = NO_BADGE;
  /** @type {Item[]} */
  #items = [];
  /** @type {Set<Operation>} */
  #pending = new Set();
  /** @type {Query | undefined} the list that is shown */
  #query;
  /** @type {string | undefined} what `upto` of a mark-all is */
  #cursor;
  /** @type {string | null} */
  #next = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #generation = 0;

  /** @param {import("./api.js").Api} api */
  constructor(api) {
    super();
    this.#api = api;
  }

  /** The badge to show; undefined until the server has said one. */
  get badge() {
    if (this.#badge === NO_BADGE) return undefined;
    return this.#pending.size ? this.#estimate() : this.#badge;
  }

  /** The list to show, newest first; empty until `list` was called. */
  get items() {
    let items = this.#items;
    for (const operation of this.#pending) {
      items = items.flatMap((item) => (this.#hits(operation, item) ? (marked(item, operation.as) ?? []) : item));
    }
    const archived = this.#query?.view === "archived";
    return items.filter((item) => item.archived === archived);
  }

  /** Of the list: what `upto` of a mark is for one who was shown it as it is now. */
  get cursor() {
    return this.#cursor;
  }

  /** Whether there are older ones. */
  get hasMore() {
    return this.#next !== null;
  }

  /**
   * Show a list, and keep it up to date from now on.
   *
   * @param {Query} [query]
   * @returns {Promise<Item[]>}
   */
  async list(query = {}) {
    this.#query = query;
    await this.#fetch({ fresh: true });
    return this.items;
  }

  /** Add older ones to the list. */
  async more() {
    if (this.#next !== null) await this.#fetch({ before: this.#next });
    return this.items;
  }

  /** Do not keep the list up to date any more. */
  leave() {
    clearTimeout(this.#timer);
    this.#generation += 1;
    this.#query = this.#cursor = undefined;
    this.#items = [];
    this.#next = null;
  }

  /**
   * Mark notifications: at once here, and on all devices when the server has it.
   *
   * @param {string | string[] | "all"} which ids, or all that the list was about when it came
   * @param {As} as
   * @param {string} [category] with "all": only of it
   * @param {string} [shown] with "all": the `cursor` of the list that was shown; default: of now
   * @returns {Promise<Badge>} rejects when the server refuses; then nothing is marked
   */
  async mark(which, as, category, shown = this.#cursor) {
    const ids = typeof which === "string" ? [which] : which;
    // "All" is what was shown, never what has come since.
    const upto = shown ?? (which === "all" ? (await this.#page({ limit: 1 })).cursor : "");
    const chosen = which === "all" ? { upto, category } : { ids };
    return this.#do({ ...chosen, as, op_id: crypto.getRandomValues(new Uint32Array(4)).join("-") });
  }

  /**
   * Take a badge from the server; one that is older than the known one is ignored.
   *
   * @param {Badge} badge
   */
  take({ as_of, unread, unseen, by_category }) {
    if (as_of <= this.#badge.as_of) return;
    this.#badge = { as_of, unread, unseen, by_category };
    if (!this.#pending.size) this.emit("badge", this.badge);
    this.refresh();
  }

  /** Something has changed, or may have: fetch the shown list anew, a moment later. */
  refresh() {
    if (!this.#query) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fetch().catch(() => {}), REFRESH_MS * (1 + Math.random()));
  }

  /** A log has begun anew, and with it the numbers by which badges are compared. */
  restart() {
    this.#badge = { ...this.#badge, as_of: -1 };
    this.refresh();
  }

  /** @param {Operation} operation */
  async #do(operation) {
    if (!this.#pending.size) this.#before = this.#badge;
    this.#pending.add(operation);
    this.#show();
    try {
      // A click that leads to another page is a mark as well: it outlives this one.
      const badge = await this.#api.call("POST", this.#api.url("inbox/mark"), operation, TRIES, { keepalive: true });
      this.#items = this.items;
      this.take(badge);
      return badge;
    } finally {
      this.#pending.delete(operation);
      this.refresh();
      this.#show();
    }
  }

  /**
   * @param {Operation} operation
   * @param {Item} item
   */
  #hits(operation, item) {
    if ("ids" in operation) return operation.ids.includes(item.id);
    return operation.category === undefined || operation.category === item.category;
  }

  /** The badge when all that is pending will have been done, as far as this list knows. */
  #estimate() {
    const tally = new Tally(this.#before);
    let items = this.#items;
    for (const operation of this.#pending) {
      const all = "upto" in operation && !operation.as.startsWith("un");
      if (all) tally.clear(operation.as, operation.category);
      items = items.map((item) => {
        const next = this.#hits(operation, item) ? marked(item, operation.as) : item;
        if (!all) tally.move(item, next);
        return next ?? { ...item, archived: true };
      });
    }
    return tally.badge;
  }

  #show() {
    this.emit("items", this.items);
    if (this.badge) this.emit("badge", this.badge);
  }

  /** @param {Record<string, unknown>} query */
  #page(query) {
    return this.#api.call("GET", this.#api.url("inbox", query));
  }

  /** @param {{before?: string, fresh?: boolean}} [how] default: anew, and what was added below stays */
  async #fetch({ before, fresh } = {}) {
    const generation = ++this.#generation;
    const limit = before || fresh ? undefined : Math.min(PAGE_MAX, Math.max(PAGE, this.#items.length));
    const page = await this.#page({ limit, ...this.#query, before });
    if (generation !== this.#generation) return;
    const known = this.#items;
    const last = fresh || !page.next ? -1 : known.findIndex(({ id }) => id === page.items.at(-1).id);
    const below = before || last < 0 ? [] : known.slice(last + 1);
    if (!below.length) this.#next = page.next;
    this.#items = [...(before ? known : []), ...page.items, ...below];
    this.#cursor = page.cursor;
    this.take(page.badge);
    this.emit("items", this.items);
  }
}
