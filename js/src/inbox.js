/**
 * A user's inbox without any DOM: the list, the badge, and marking.
 *
 * What is shown is derived: what the server said last, and on top of it what was done here and is
 * not answered yet. So a mark shows at once, and one that fails is gone again by itself.
 */

import { randomId } from "./api.js";
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
 * @property {boolean} [deleted]
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

/**
 * What an item is once it is marked.
 *
 * @param {Item} item
 * @param {As} as
 * @returns {Item}
 */
function marked(item, as) {
  const undone = as.startsWith("un");
  return { ...item, [undone ? as.slice(2) : as]: !undone };
}

/**
 * @param {Operation} operation
 * @param {Item} item
 * @returns {Item} as the operation leaves it
 */
function done(operation, item) {
  const hit = "ids" in operation ? operation.ids.includes(item.id) : (operation.category ?? item.category) === item.category;
  return hit ? marked(item, operation.as) : item;
}

/** Whether the badge counts it: 0 or 1. @param {Item} item */
const counts = ({ read, archived, deleted }) => Number(!read && !archived && !deleted);

/**
 * The badge when all that is pending will have been done, as far as the list knows.
 *
 * @param {Badge} badge before
 * @param {Item[]} items before
 * @param {Iterable<Operation>} operations
 * @returns {Badge}
 */
function estimate(badge, items, operations) {
  const by = { ...badge.by_category };
  let { unseen } = badge;
  for (const operation of operations) {
    const all = "upto" in operation && !operation.as.startsWith("un");
    if (all && operation.as !== "seen") for (const one in by) if (one === (operation.category ?? one)) by[one] = 0;
    if (all && !operation.category) unseen = 0;
    items = items.map((item) => {
      const next = done(operation, item);
      if (!all) {
        by[item.category] = (by[item.category] ?? 0) + counts(next) - counts(item);
        unseen += (next.seen ? 0 : counts(next)) - (item.seen ? 0 : counts(item));
      }
      return next;
    });
  }
  const left = Object.entries(by).filter(([, many]) => many > 0);
  const unread = left.reduce((sum, [, many]) => sum + many, 0);
  return { as_of: badge.as_of, unread, unseen: Math.max(0, Math.min(unseen, unread)), by_category: Object.fromEntries(left) };
}

export class Inbox extends Emitter {
  #api;
  /** @type {Badge | undefined} */
  #badge;
  /** The one on which what is not answered yet is counted. @type {Badge | undefined} */
  #before;
  #asOf = -1;
  /** @type {Item[]} */
  #items = [];
  /** @type {Set<Operation>} */
  #pending = new Set();
  /** @type {Query | undefined} the list that is shown */
  #query;
  /** @type {string | undefined} what `upto` of a mark-all is */
  #cursor;
  /** @type {string | null | undefined} */
  #next;
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
    return this.#before && this.#pending.size ? estimate(this.#before, this.#items, this.#pending) : this.#badge;
  }

  /** The list to show, newest first; empty until `list` was called. */
  get items() {
    let items = this.#items;
    for (const operation of this.#pending) items = items.map((item) => done(operation, item));
    const shown = this.#query?.view === "archived";
    return items.filter(({ archived, deleted }) => archived === shown && !deleted);
  }

  /** Of the list: what `upto` of a mark is for one who was shown it as it is now. */
  get cursor() {
    return this.#cursor;
  }

  /** Whether there are older ones. */
  get hasMore() {
    return !!this.#next;
  }

  /**
   * Show a list, and keep it up to date from now on.
   *
   * @param {Query} [query]
   * @returns {Promise<Item[]>}
   */
  async list(query = {}) {
    this.#query = query;
    await this.#fetch(undefined, true);
    return this.items;
  }

  /** Add older ones to the list. */
  async more() {
    if (this.#next) await this.#fetch(this.#next);
    return this.items;
  }

  /** Do not keep the list up to date any more. */
  leave() {
    clearTimeout(this.#timer);
    this.#generation += 1;
    this.#query = this.#cursor = this.#next = undefined;
    this.#items = [];
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
    // "All" is what was shown, never what has come since.
    const chosen = which === "all" ? { upto: shown ?? (await this.#page({ limit: 1 })).cursor, category } : { ids: [which].flat() };
    return this.#do({ ...chosen, as, op_id: randomId() });
  }

  /**
   * Take a badge from the server; one that is older than the known one is ignored.
   *
   * @param {Badge} badge
   */
  take({ as_of, unread, unseen, by_category }) {
    if (as_of <= this.#asOf) return;
    this.#asOf = as_of;
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

  /** Something may have been missed. @param {import("./frames.js").Gap} gap */
  miss({ reason }) {
    // A log has begun anew, and with it the numbers by which badges are compared.
    if (reason === "epoch") this.#asOf = -1;
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

  #show() {
    this.emit("items", this.items);
    if (this.badge) this.emit("badge", this.badge);
  }

  /** @param {Record<string, unknown>} query */
  #page(query) {
    return this.#api.call("GET", this.#api.url("inbox", query));
  }

  /**
   * Fetch the list anew, and keep what was added below.
   *
   * @param {string} [before] no: add what is older than that
   * @param {boolean} [fresh] keep nothing
   */
  async #fetch(before, fresh) {
    const generation = ++this.#generation;
    const limit = before || fresh ? undefined : Math.min(PAGE_MAX, Math.max(PAGE, this.#items.length));
    const page = await this.#page({ limit, ...this.#query, before });
    if (generation !== this.#generation) return;
    const known = fresh ? [] : this.#items;
    const last = !page.next ? -1 : known.findIndex(({ id }) => id === page.items.at(-1).id);
    const below = before || last < 0 ? [] : known.slice(last + 1);
    if (!below.length) this.#next = page.next;
    this.#items = [...(before ? known : []), ...page.items, ...below];
    this.#cursor = page.cursor;
    this.take(page.badge);
    this.emit("items", this.items);
  }
}
