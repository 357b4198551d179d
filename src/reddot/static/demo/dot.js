/**
 * The red dot: `<red-dot>` on top, which every panel tells of the badges that its transport brings,
 * and `<red-dot-inbox>`, the list behind it. Of two badges the later one wins, however it came.
 *
 * They have a client of their own, which all tabs share: the number is right in a tab that rests too.
 */

import { formatMs } from "./format.js";
import * as server from "./server.js";

const RACERS_SHOWN = 7;

function made(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}

export class RedDot {
  #visitor;
  #parts;
  #client;
  #sentAt;
  #racers = [];

  /** @param {{bell, inbox, lang, why, race, form, status}} parts elements of the page */
  constructor(visitor, parts) {
    this.#visitor = visitor;
    this.#parts = parts;
    parts.why.href += `?user=${encodeURIComponent(visitor.name)}`;
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#attempt(() => this.#send(new FormData(parts.form)));
    });
  }

  /** Bring the elements to the page. */
  start() {
    return this.#attempt(async () => {
      const { Reddot } = await import("../reddot.js");
      const { bell, inbox, lang } = this.#parts;
      this.#client = new Reddot({ server: server.address("").origin, token: () => this.#visitor.token() });
      bell.append(made("red-dot", { client: this.#client }));
      inbox.append(made("red-dot-inbox", { client: this.#client }));
      const speak = () => [bell, inbox].forEach((each) => (each.lastElementChild.lang = lang.elements.lang.value));
      lang.addEventListener("change", speak);
      speak();
    });
  }

  /** A badge has come over a transport. */
  take(badge, name) {
    if (this.#sentAt !== undefined && badge.unread > 0) this.#arrived(name);
    this.#client?.inbox.take(badge);
  }

  /** Read all that a panel has shown, up to its own cursor. */
  markAll(upto) {
    return this.#attempt(() => this.#client.inbox.mark("all", "read", undefined, upto));
  }

  async #send(fields) {
    const to = { me: { users: [this.#visitor.name] }, group: { topic: fields.get("group") }, everyone: { everyone: true } };
    this.#racers = [];
    this.#sentAt = performance.now();
    this.#parts.race.replaceChildren();
    const { recipients } = await server.notify({ to: to[fields.get("to")], title: fields.get("title") || "Hello" });
    this.#parts.status.textContent = recipients === null ? "Sent: one row, however many follow." : `Sent to ${recipients}.`;
  }

  /** Who shows it when: the same badge over each transport. */
  #arrived(name) {
    if (this.#racers.includes(name)) return;
    this.#racers.push(name);
    const racer = made("li", { textContent: name });
    racer.append(made("b", { textContent: `${formatMs(performance.now() - this.#sentAt)} ms` }));
    this.#parts.race.append(racer);
    if (this.#racers.length === RACERS_SHOWN) this.#sentAt = undefined;
  }

  async #attempt(action) {
    try {
      await action();
    } catch (error) {
      this.#parts.status.textContent = `Not done: ${error.message}`;
    }
  }
}
