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
 * @typedef {Date | string | null} Until as the server reads it: ISO 8601
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
 * @property {Until} [snoozed_until] when it comes back; null: it is not snoozed
 * @property {any} data `title`, `body`, `url`, `icon`, `priority`, `actions`, `data`
 *
 * @typedef {object} Query
 * @property {"all" | "unread" | "archived" | "snoozed"} [view]
 * @property {string} [category]
 * @property {string} [q] words to search for
 * @property {number} [limit]
 *
 * @typedef {object} Operation of `ids`, or of all up to a cursor
 * @property {string[]} [ids]
 * @property {string} [upto]
 * @property {string} [category]
 * @property {As | "snoozed" | "unsnoozed"} as
 * @property {Until} [until]
 * @property {string} [op_id]
 */

/** Of a mark that gets no answer; after the last one it is taken back. */
const TRIES = 4;
/** After a change elsewhere the list is fetched anew by all who show it, though not all at once. */
const REFRESH_MS = 200;
/** Rows that the server gives by itself, and at most. */
const PAGE = 20;
const PAGE_MAX = 100;

/**
 * @param {Item} item
 * @param {Operation} operation
 * @returns {Item} as the operation leaves it
 */
function done(item, { ids, category, as, until = item.snoozed_until }) {
  if (ids ? !ids.includes(item.id) : (category ?? item.category) !== item.category) return item;
  return { ...item, [as.replace(/^un/, "")]: !as.startsWith("un"), snoozed_until: until };
}

/** Whether the badge counts it: 0 or 1. @param {Item} item */
const counts = ({ read, archived, deleted, snoozed_until }) => +!(read || archived || deleted || snoozed_until);

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
    const all = operation.upto && !operation.as.startsWith("un");
    if (all && operation.as !== "seen") for (const one in by) if (one === (operation.category ?? one)) by[one] = 0;
    if (all && !operation.category) unseen = 0;
    items = items.map((item) => {
      const next = done(item, operation);
      if (!all) {
        by[item.category] = (by[item.category] ?? 0) + counts(next) - counts(item);
        unseen += (next.seen ? 0 : counts(next)) - (item.seen ? 0 : counts(item));
      }
      return next;
    });
  }
  let unread = 0;
  for (const one in by) {
    if (by[one] > 0) unread += by[one];
    else delete by[one];
  }
  return { ...badge, unread, unseen: Math.max(0, Math.min(unseen, unread)), by_category: by };
}

export class Inbox extends Emitter {
  #api;
  /** @type {Badge | undefined} */
  #badge;
  /** The one on which what is not answered yet is counted. @type {Badge | undefined} */
  #before;
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
    for (const operation of this.#pending) items = items.map((item) => done(item, operation));
    const view = this.#query?.view;
    return items.filter(({ archived, deleted, snoozed_until }) => !deleted && archived === (view === "archived") && !!snoozed_until === (view === "snoozed"));
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
    this.#items = [];
    await this.#fetch();
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
    return this.#do(which === "all" ? { upto: shown ?? (await this.#page({ limit: 1 })).cursor, category, as } : { ids: [which].flat(), as });
  }

  /**
   * Hide notifications until a time, at which they come back as new ones; or bring them back now.
   *
   * @param {string | string[]} ids
   * @param {Until} until null: now
   * @returns {Promise<Badge>} rejects as `mark` does
   */
  snooze(ids, until) {
    return this.#do({ ids: [ids].flat(), as: until ? "snoozed" : "unsnoozed", until });
  }

  /**
   * Take a badge from the server; one that is older than the known one is ignored.
   *
   * @param {Badge} badge
   */
  take(badge) {
    if (this.#badge && badge.as_of <= this.#badge.as_of) return;
    this.#badge = badge;
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
    if (reason === "epoch") this.#badge = undefined;
    this.refresh();
  }

  /** @param {Operation} wanted */
  async #do(wanted) {
    const operation = { ...wanted, op_id: randomId() };
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
   */
  async #fetch(before) {
    const generation = (this.#generation += 1);
    const limit = before ? undefined : Math.min(PAGE_MAX, Math.max(PAGE, this.#items.length));
    const page = await this.#page({ limit, ...this.#query, before });
    if (generation !== this.#generation) return;
    const known = this.#items;
    const last = !page.next ? -1 : known.findIndex(({ id }) => id === page.items.at(-1).id);
    const below = before || last < 0 ? [] : known.slice(last + 1);
    if (!below.length) this.#next = page.next;
    this.#items = [...(before ? known : []), ...page.items, ...below];
    this.#cursor = page.cursor;
    this.take(page.badge);
    this.emit("items", this.items);
  }
}
