/** The client of a page that shows an inbox, or a bell. */

import { Client } from "./client.js";
import { Inbox } from "./inbox.js";
import { loadPush } from "./push/load.js";

export class Reddot extends Client {
  #options;

  /** @param {import("./client.js").Options & {push?: import("./push/index.js").PushOptions}} [options] */
  constructor(options = {}) {
    super(options);
    this.#options = options;
    this.inbox = new Inbox(this.api);
    this.on("badge", (badge) => this.inbox.take(badge));
    this.on("gap", (gap) => this.inbox.miss(gap));
    try {
      // Enabled in this browser: it is renewed, and what was clicked is marked.
      if (localStorage["reddot push"]) this.#push().catch((error) => this.emit("error", error));
    } catch {
      // Pages may be kept from storing anything, and then nothing was enabled.
    }
  }

  /**
   * Reach the person by notifications of this browser, on pages that are closed as well. Call it in
   * a click: it asks them. Again is as good as once.
   *
   * @returns {Promise<void>}
   * @throws {import("./push/index.js").PushError}
   * @throws {import("./api.js").ReddotError} the server has no Web Push (404), or cannot be reached
   */
  async enablePush() {
    // In the click itself, for which browsers do not wait: the code may still be to come.
    const asked = globalThis.PushManager && Notification.requestPermission();
    return (await this.#push()).enable(asked);
  }

  /** Not any more, on this browser; before the person logs out. */
  async disablePush() {
    return (await this.#push()).disable();
  }

  /** @returns {Promise<import("./push/index.js").PushState>} what to show on the switch */
  async pushState() {
    return (await this.#push()).state();
  }

  close() {
    super.close();
    this.inbox.leave();
    this.emit("close");
  }

  async #push() {
    return (await loadPush()).pushOf(this, this.#options);
  }
}
