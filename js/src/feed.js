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
/** Frames; beyond, the page is told of a gap. */
const HELD_MAX = 10_000;

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
  let catching = false;

  /** @param {Publication} publication */
  const publish = (publication) => {
    const { topic, offset } = publication;
    if (!offsets.isNew(topic, offset)) return;
    emit("publication", publication);
    for (const { filters, callback } of subscriptions) {
      if (filters.some((filter) => matches(filter, topic))) guard(callback, publication);
    }
  };

  /** @param {Gap} gap */
  const miss = (gap) => {
    if (gap.reason === "epoch") {
      offsets.clear();
      feed.badge = undefined;
    }
    emit("gap", gap);
    for (const { filters, gap: callback } of subscriptions) {
      if (callback && filters.includes(gap.topic)) guard(callback, gap);
    }
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
      answer?.gaps?.forEach(miss);
      answer?.publications.forEach(publish);
    }
  };

  /** Take what was held. @param {boolean} incomplete */
  const release = (incomplete) => {
    const { held = [] } = feed;
    feed.held = undefined;
    catching = false;
    if (incomplete) feed.filters().forEach((topic) => miss({ topic, reason: "trimmed" }));
    held.forEach(feed.take);
  };

  const feed = {
    /** "Everything up to here was delivered." @type {string | undefined} */
    cursor: undefined,
    /** @type {Badge | undefined} */
    badge: undefined,
    /** What another tab's connection brings before this tab has what it missed. @type {Frame[] | undefined} */
    held: undefined,

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
      const { type, cursor, gaps = [], badge } = frame;
      if (type === "publication") publish(/** @type {any} */ (frame));
      else if (type === "gap") miss(/** @type {any} */ (frame));
      else if (type === "badge") feed.count(/** @type {any} */ (frame));
      else if (type === "sync") {
        // A stream from now on begins with what is retained.
        if (!feed.cursor) owed.clear();
        gaps.forEach(miss);
        if (badge) feed.count(badge);
      }
      if (cursor) feed.cursor = cursor;
    },

    /** @param {Badge} badge */
    count(badge) {
      if (feed.badge && badge.as_of <= feed.badge.as_of) return;
      feed.badge = badge;
      emit("badge", badge);
    },

    /** Take what another tab's connection has brought. @param {Frame} frame */
    follow(frame) {
      if (!feed.held) feed.take(frame);
      else if (feed.held.push(frame) > HELD_MAX) release(true);
    },

    /**
     * Fetch what this tab has to have besides the stream.
     *
     * @param {boolean} leads whether the stream is its own
     */
    settle(leads) {
      if (!feed.cursor) return;
      // What is retained on filters that came after the stream had begun.
      if (owed.size) poll([...owed]).catch((error) => emit("error", error));
      owed.clear();
      // What the leader had heard before this tab came back.
      if (!feed.held || leads || catching) return;
      catching = true;
      const failed = poll(feed.filters(), feed.cursor).then(() => false, () => true);
      void failed.then(release);
    },
  };
  return feed;
}
