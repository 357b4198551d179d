/**
 * What the elements of a page share: one client for each server and person, and what is known of it.
 *
 * Events: `live`, each time it is connected; `change`, when anything that is shown may have changed;
 * `notice`, a notification that has come and is not muted; `retracted`, with its id; `renewed`, when
 * it is of no use any more.
 */

import { pause } from "../backoff.js";
import { Emitter } from "../emitter.js";
import { Reddot } from "../reddot.js";
import { load } from "./load.js";

/**
 * @typedef {object} Source says to which server, and as whom
 * @property {Reddot} [client]
 * @property {import("../client.js").Options["token"]} [token]
 * @property {(name: string) => string | null} getAttribute
 *
 * @typedef {{id: string, category: string, data: any}} Notice an item of the list, or what has just come
 *
 * @typedef {object} Wanted what somebody wants to hear of, and what there is to choose from
 * @property {{categories: string[], topics: string[], couriers: Record<string, string[]>, until: Record<string, string>}} muted
 * @property {{start: string, end: string} | null} quiet
 * @property {string[]} couriers
 * @property {string[]} categories
 * @property {string[]} locked
 * @property {string} timezone as they have said, or as the operator has; what is put without it leaves it as it is
 */

/** A connection that is away for so short is nothing to worry anybody with. */
const STALE_MS = 3_000;
/** How long what is wanted is taken for known. */
const WANTED_MS = 60_000;
/** How long the other tabs are kept from doing what one has done. */
const CLAIM_MS = 10_000;
/** What a tab that nobody looks at waits for one that somebody does. */
const HIDDEN_MS = 300;

/** @type {Map<unknown, Session>} */
const sessions = new Map();

/** @param {string} url @returns {Promise<string | undefined>} none: nobody is signed in */
async function fetchToken(url) {
  const answer = await fetch(url, { credentials: "include", cache: "no-store" });
  if (/204|401|403/.test(`${answer.status}`)) return undefined;
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  const text = await answer.text();
  return /[^.\w-]/.test(text.trim()) ? JSON.parse(text).token : text.trim();
}

export class Session extends Emitter {
  /** Whether what is shown may be old by now. */
  stale = false;
  live = false;
  /** Whether `token` has said that nobody is signed in. */
  signedOut = false;
  /** When it was last known to be new, in milliseconds since 1970. */
  syncedAt = 0;
  /** How often it was connected. */
  connects = 0;
  /** The one element of the page that says aloud what has come. @type {object | undefined} */
  speaker;
  /** Whether somebody has the list before them, in a panel. */
  looked = false;
  /** Elements that use it. */
  users = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {Promise<Wanted> | undefined} */
  #wanted;
  #ends;

  /**
   * The one for what an element says; `leave` when it is not needed any more.
   *
   * @param {Source} source
   */
  static join(source) {
    const { client } = source;
    const [server, url, user] = ["server", "token-url", "user"].map((name) => source.getAttribute(name) ?? undefined);
    const key = client ?? (source.token && source) ?? `${server} ${url} ${user}`;
    let session = sessions.get(key);
    if (!session) {
      const asked = source.token ? () => source.token?.() : url ? () => fetchToken(url) : undefined;
      const token = async () => {
        const given = await asked?.();
        made.signedOut = !given;
        return given;
      };
      const shared = !!(asked || user);
      const options = { server, user, token: asked && token, inbox: true, shared, credentials: /** @type {const} */ ("include") };
      const made = (session = new Session(key, client ?? new Reddot(options), !client));
      sessions.set(key, session);
    }
    session.users += 1;
    return session;
  }

  /**
   * @param {unknown} key
   * @param {Reddot} client
   * @param {boolean} owned whether it ends with this
   */
  constructor(key, client, owned) {
    super();
    this.key = key;
    this.client = client;
    this.owned = owned;
    this.#ends = [
      client.on("state", () => this.#state()),
      client.on("publication", (publication) => this.#hear(publication)),
      client.inbox.on("badge", () => this.emit("change")),
    ];
    this.#state();
  }

  /** Let everybody join another one. */
  renew() {
    sessions.delete(this.key);
    this.emit("renewed");
  }

  leave() {
    this.users -= 1;
    // What is moved within the page leaves, and comes back at once.
    setTimeout(() => {
      if (this.users) return;
      if (sessions.get(this.key) === this) sessions.delete(this.key);
      this.#ends.forEach((end) => end());
      clearTimeout(this.#timer);
      if (this.owned) this.client.close();
    });
  }

  /** The badge; none for somebody who is signed out. */
  get badge() {
    return this.signedOut || this.client.state === "closed" ? undefined : this.client.inbox.badge;
  }

  /** What is wanted; as it was a minute ago at most, for other devices may change it. @returns {Promise<Wanted>} */
  preferences() {
    const { api } = this.client;
    if (!this.#wanted) {
      const forget = () => (this.#wanted = undefined);
      setTimeout(forget, WANTED_MS);
      this.#wanted = api.call("GET", api.url("preferences"));
      this.#wanted.catch(forget);
    }
    return this.#wanted;
  }

  /** @param {Partial<Wanted>} wanted no time zone: as it is @returns {Promise<Wanted>} what is wanted from now on */
  async prefer({ muted, quiet, timezone }) {
    const { api, inbox } = this.client;
    const answer = await api.call("PUT", api.url("preferences"), { muted, quiet, timezone });
    inbox.take(answer.badge);
    this.#wanted = Promise.resolve(answer);
    return answer;
  }

  /**
   * Whether this tab is the one to do what is to happen once in a browser.
   *
   * @param {string} what
   * @returns {Promise<boolean>}
   */
  async first(what) {
    if (document.hidden) await pause(HIDDEN_MS);
    // Without locks each tab is a browser of its own.
    return new Promise((resolve) => {
      if (!navigator.locks) return resolve(!document.hidden);
      void navigator.locks.request(`reddot ${what}`, { ifAvailable: true }, (lock) => {
        resolve(!!lock);
        return lock && pause(CLAIM_MS);
      });
    });
  }

  #state() {
    const live = this.client.state === "live";
    const begins = live && !this.live;
    if (live || this.live) this.syncedAt = Date.now();
    this.live = live;
    if (live) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.stale = false;
    }
    this.#timer ??= live
      ? undefined
      : setTimeout(() => {
          this.stale = true;
          this.emit("change");
        }, STALE_MS);
    if (begins) {
      this.connects += 1;
      this.emit("live");
    }
    this.emit("change");
  }

  /** @param {import("../frames.js").Publication} publication */
  async #hear({ id, event, topic, data }) {
    if (event === "retracted") this.emit("retracted", data?.id);
    if (event !== "notification" || !data?.title) return;
    const { category = "general", title, body } = data;
    const wanted = await this.preferences().catch(() => undefined);
    if (wanted && !wanted.locked.includes(category) && (isMuted(wanted, category) || wanted.muted.topics.includes(topic))) return;
    this.emit("notice", { id, category, data });
    if (isOn("sound") && (await this.first(`sound ${id}`))) load().then(({ beep }) => beep(), () => {});
    if (isOn("desktop") && document.hidden && (await this.first(`desktop ${id}`))) new Notification(title, { body, tag: id });
  }
}

/** Whether a category is muted, now. @param {Wanted} wanted @param {string} category */
export const isMuted = ({ muted: { categories, until } }, category) =>
  categories.includes(category) && !(Date.parse(until[category]) <= Date.now());

/** What is switched on in this browser. @typedef {"sound" | "desktop"} Alert */

/** @param {Alert} name */
export function isOn(name) {
  try {
    return !!localStorage[`reddot ${name}`];
  } catch {
    return false;
  }
}
