/** The client of a page that shows an inbox, or a bell. */

import { Client } from "./client.js";
import { Inbox } from "./inbox.js";

export class Reddot extends Client {
  /** @param {import("./client.js").Options} [options] */
  constructor(options) {
    super(options);
    this.inbox = new Inbox(this.api);
    this.on("badge", (badge) => this.inbox.take(badge));
    this.on("gap", (gap) => this.inbox.miss(gap));
  }

  close() {
    super.close();
    this.inbox.leave();
  }
}
