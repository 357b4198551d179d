/**
 * The red dot: one badge for the page, whichever transport brings it first, and the list behind it.
 *
 * The one rule: of two badges the one with the greater `as_of` wins.
 */

import { formatMs } from "./format.js";
import * as server from "./server.js";

const ITEMS = 5;
const RACERS_SHOWN = 7;
const TITLE = document.title;

/** The bell. `<red-dot>` could stand in its place: it, too, is told nothing but the number. */
export class Bell {
  #button;
  #number;

  constructor(button) {
    this.#button = button;
    this.#number = button.querySelector(".badge");
  }

  show(unread) {
    this.#number.textContent = unread > 99 ? "99+" : unread;
    this.#number.hidden = unread === 0;
    this.#button.setAttribute("aria-label", unread ? `Notifications, ${unread} unread` : "Notifications, none unread");
    document.title = unread ? `(${unread}) ${TITLE}` : TITLE;
  }
}

function made(tag, className, text) {
  return Object.assign(document.createElement(tag), { className, textContent: text });
}

function line(item) {
  const row = made("li", item.read ? "" : "unread", "");
  const from = item.topic.startsWith("users/") ? "to you" : item.topic === "everyone" ? "to everyone" : `to ${item.topic}`;
  row.append(made("span", "note-title", item.data.title), made("span", "note-to", item.read ? `${from}, read` : from));
  return row;
}

export class RedDot {
  #visitor;
  #bell;
  #parts;
  #asOf = -1;
  #rendered;
  #sentAt;
  #racers = [];

  /** @param {{bell, list, race, form, all, status}} parts elements of the page */
  constructor(visitor, parts) {
    this.#visitor = visitor;
    this.#parts = parts;
    this.#bell = new Bell(parts.bell);
    this.#bell.show(0);
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#attempt(() => this.#send(new FormData(parts.form)));
    });
    parts.all.addEventListener("click", () => void this.#attempt(() => this.markAll(this.#rendered)));
  }

  /** A badge has come over a transport. */
  take({ as_of, unread }, name) {
    if (this.#sentAt !== undefined && unread > 0) this.#arrived(name);
    if (as_of <= this.#asOf) return;
    this.#asOf = as_of;
    this.#bell.show(unread);
    this.#parts.all.disabled = unread === 0;
    void this.#attempt(() => this.#render());
  }

  /** Read all that was shown up to a cursor: the list's, or a panel's own. */
  async markAll(upto) {
    this.take(await server.mark({ upto, as: "read" }, await this.#visitor.token()), undefined);
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
    if (name === undefined || this.#racers.includes(name)) return;
    this.#racers.push(name);
    const racer = made("li", "", name);
    racer.append(made("b", "", `${formatMs(performance.now() - this.#sentAt)} ms`));
    this.#parts.race.append(racer);
    if (this.#racers.length === RACERS_SHOWN) this.#sentAt = undefined;
  }

  async #render() {
    const page = await server.fetchInbox(ITEMS, await this.#visitor.token());
    this.#rendered = page.cursor;
    this.#parts.list.replaceChildren(...page.items.map(line));
  }

  async #attempt(action) {
    try {
      await action();
    } catch (error) {
      this.#parts.status.textContent = `Not done: ${error.message}`;
    }
  }
}
