/**
 * What this tab takes from the stream, whichever tab's connection it comes from: the cursor, who
 * gets what, what is dropped because it came before, and what is fetched besides.
 */

import { guard } from "./emitter.js";
import { matches, Offsets } from "./topics.js";

/**
 * @typedef {import("./frames.js").Frame} Frame
 * @typedef {import("./frames.js").Publication} Publication
 * @typedef {import("./frames.js").Gap} Gap
 * @typedef {import("./frames.js").Badge} Badge
 *
 * @typedef {object} Subscription
 * @property {string[]} filters
 * @property {(publication: Publication) => void} callback
 * @property {((gap: Gap) => void) | undefined} gap
 */

/** Of a fetch; after the last one the page is told. */
const TRIES = 4;

/**
 * @param {import("./api.js").Api} api
 * @param {(event: string, value: unknown) => void} emit
 */
export function makeFeed(api, emit) {
  /** @type {Set<Subscription>} */
  const subscriptions = new Set();
  const offsets = new Offsets();
  /** Filters whose retained values have not come yet. @type {Set<string>} */
  const owed = new Set();

  /** What is done with a frame, by its type; nothing with others. @type {Record<string, (frame: any) => void>} */
  const takers = {
    /** @param {Publication} one */
    publication(one) {
      const { topic, offset } = one;
      if (!offsets.isNew(topic, offset)) return;
      emit("publication", one);
      for (const { filters, callback } of subscriptions) {
        if (filters.some((filter) => matches(filter, topic))) guard(callback, one);
      }
    },

    /** @param {Gap} one */
    gap(one) {
      if (one.reason === "epoch") {
        // It counts from 1 again.
        offsets.clear();
        feed.badge = undefined;
      }
      emit("gap", one);
      for (const { filters, gap } of subscriptions) {
        if (gap && filters.includes(one.topic)) guard(gap, one);
      }
    },

    /** @param {Badge} one */
    badge(one) {
      if (feed.badge && one.as_of <= feed.badge.as_of) return;
      feed.badge = one;
      emit("badge", one);
    },

    sync({ gaps = [], badge }) {
      // A stream from now on begins with what is retained.
      if (!feed.cursor) owed.clear();
      gaps.forEach(takers.gap);
      if (badge) takers.badge(badge);
    },
  };

  /**
   * @param {string[]} filters
   * @param {string} [cursor] none: what is retained
   */
  const poll = async (filters, cursor) => {
    for (let more = filters.length > 0; more; ) {
      const answer = await api.call("GET", api.url("poll", { inbox: false, cursor }, filters), undefined, TRIES);
      more = !!cursor && !!answer;
      cursor = answer?.cursor;
      answer?.gaps?.forEach(takers.gap);
      answer?.publications.forEach(takers.publication);
    }
  };

  const feed = {
    /** "Everything up to here was delivered." @type {string | undefined} */
    cursor: undefined,
    /** @type {Badge | undefined} */
    badge: undefined,

    /** Of all subscriptions, each once. */
    filters: () => [...new Set([...subscriptions].flatMap(({ filters }) => filters))],

    /** @param {Subscription} subscription @returns {() => unknown} takes it away */
    add(subscription) {
      const known = feed.filters();
      for (const filter of subscription.filters) if (!known.includes(filter)) owed.add(filter);
      subscriptions.add(subscription);
      return () => subscriptions.delete(subscription);
    },

    /** @param {Frame} frame */
    take(frame) {
      takers[frame.type]?.(frame);
      if (frame.cursor) feed.cursor = frame.cursor;
    },

    count: takers.badge,

    /** Fetch what has come since the cursor, on whichever filters. */
    catchUp: () => poll(feed.filters(), feed.cursor),

    /** That could not be had: tell the page. */
    miss: () => feed.filters().forEach((topic) => takers.gap({ topic, reason: "trimmed" })),

    /** There is a stream: fetch what is retained on filters that came after it had begun. */
    settle() {
      if (!feed.cursor) return;
      if (owed.size) poll([...owed]).catch((error) => emit("error", error));
      owed.clear();
    },
  };
  return feed;
}
