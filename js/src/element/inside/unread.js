/** What "mark all as read" is about to change, for its undo. */

/** @typedef {import("../../inbox.js").Item} Item */

/** Ids that one undo brings back, and how many are asked for at once. */
const UNDO_MAX = 1_000;
const PAGE_MAX = 100;

/**
 * Ids of all that is unread, also of what is not loaded.
 *
 * @param {import("../session.js").Session} session
 * @param {Item[]} rows that are loaded
 * @param {string} [category]
 * @returns {Promise<string[]>}
 */
export async function unread({ badge, client: { api } }, rows, category) {
  const count = (category ? badge?.by_category[category] : badge?.unread) ?? 0;
  const loaded = rows.filter(({ read }) => !read).map(({ id }) => id);
  if (loaded.length >= count) return loaded;
  /** @type {string[]} */
  const ids = [];
  for (let before; before !== null && ids.length < UNDO_MAX; ) {
    const page = await api.call("GET", api.url("inbox", { view: "unread", category, limit: PAGE_MAX, before }));
    ids.push(...page.items.map((/** @type {Item} */ { id }) => id));
    before = page.next;
  }
  return ids.slice(0, UNDO_MAX);
}
