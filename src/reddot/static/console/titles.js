/**
 * Notifications by their ids: lists of deliveries do not say what was sent, only its id. Each is
 * asked for once; a bounded number is remembered.
 */

import { part } from "./api.js";

const KNOWN_MAX = 500;

export class Titles {
  constructor(api) {
    this.api = api;
    this.known = new Map();
  }

  /** What is known: the notification, or undefined. */
  of(id) {
    return this.known.get(id);
  }

  /** The title, or the id of what is not kept any more. */
  title(id) {
    return this.known.get(id)?.data.title ?? (id || "Not kept any more");
  }

  /** Ask for those that are not known; whether there were any. */
  async learn(ids) {
    const wanted = [...new Set(ids)].filter((id) => id && !this.known.has(id));
    if (this.known.size + wanted.length > KNOWN_MAX) this.known.clear();
    for (const id of wanted) {
      const found = await this.api.get(`v1/notifications/${part(id)}`).catch((error) => {
        if (error.code !== "not_found") throw error;
        return { id, data: { title: id }, topics: [] };
      });
      this.known.set(id, found);
    }
    return wanted.length > 0;
  }
}
