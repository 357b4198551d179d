/**
 * The client as a page sees it: what is wanted, and which tab has the connection for it.
 *
 * Frames come from a connection of this tab (`link.js`), or from the tab that leads (`tabs.js`); either
 * way they are taken by the one feed (`feed.js`), which drops what came before.
 */

import { makeApi, randomId, ReddotError } from "./api.js";
import { backoff } from "./backoff.js";
import { Emitter } from "./emitter.js";
import { makeFeed } from "./feed.js";
import { loadTabs } from "./later.js";
import { makeLink } from "./link.js";
import { longPoll, sse } from "./transports/fallbacks.js";
import { websocket } from "./transports/websocket.js";

/**
 * @typedef {import("./frames.js").Publication} Publication
 * @typedef {import("./frames.js").Gap} Gap
 * @typedef {import("./link.js").State} State
 * @typedef {import("./link.js").Status} Status
 * @typedef {import("./transports/face.js").Transport} Transport
 *
 * @typedef {object} Options
 * @property {string} [server] origin of the server; default: the page's own
 * @property {() => Promise<string | null | undefined> | string | null | undefined} [token] gives a
 *   JWT; called again when one has expired or was refused
 * @property {string} [user] who is signed in, where a cookie says it and no token
 * @property {boolean} [inbox] whether the user's inbox belongs to the stream; default: whether
 *   there is `token` or `user`
 * @property {boolean} [shared] whether tabs share one connection; default: as `inbox`
 * @property {Transport[]} [transports] best first; default: `websocket`, `sse`, `longPoll`
 * @property {RequestCredentials} [credentials] `include` sends cookies to another origin
 *
 * @typedef {object} PublishOptions
 * @property {string} [event]
 * @property {string} [id] idempotency key; default: a random one
 * @property {boolean} [ephemeral]
 * @property {number} [ttl] seconds
 * @property {boolean} [retain]
 */

/** Of a publish: after the last one the page is told. */
const TRIES = 4;
/** Notes; older ones are forgotten. */
const TRAIL_MAX = 50;
const TRANSPORTS = [websocket, sse, longPoll];

export class Client extends Emitter {
  /** @type {State} @readonly */
  state = "idle";
  /** Name of the transport in use; of the leading tab's, if it is not this one. @type {string | undefined} @readonly */
  transport = undefined;
  /** Why it is not live. @readonly */
  reason = "";
  /** While `waiting`: when it is tried again, in milliseconds since 1970. @readonly */
  retryAt = 0;
  /**
   * The latest decisions about transports, oldest first, with the time in milliseconds since 1970.
   *
   * @type {(import("./chooser.js").Note & {at: number})[]}
   */
  trail = [];

  #options;
  #feed;
  #link;
  /** @type {import("./tabs.js").Tabs | undefined} */
  #tabs;
  /** @type {string[]} the filters that the connection has */
  #sent = [];
  #queued = false;
  /** @type {object | undefined} this stay on the page; none: it is put away */
  #begun;

  /** @param {Options} [options] */
  constructor(options = {}) {
    super();
    const { server = location.origin, token, credentials, user, transports = TRANSPORTS } = options;
    const { inbox = !!(token || user), shared = inbox } = options;
    // Tabs share by locks, which need a secure context.
    this.#options = { server, user, inbox, shared: shared && !!globalThis.navigator?.locks };
    /** Requests with the credential of the moment. */
    this.api = makeApi(server, token, credentials);
    this.#feed = makeFeed(this.api, (event, value) => this.emit(event, value));
    this.#link = makeLink(transports, `reddot ${server}`, this.#hooks());
    this.#listen(globalThis.addEventListener);
    if (inbox) this.#update();
  }

  /** "Everything up to here was delivered." */
  get cursor() {
    return this.#feed.cursor;
  }

  /** Whether this tab holds the connection. */
  get leads() {
    return this.#tabs?.leads ?? true;
  }

  /**
   * Listen to topics, from now on.
   *
   * @param {string | string[]} filters may have the wildcards + and #
   * @param {(publication: Publication) => void} callback
   * @param {(gap: Gap) => void} [gap] something may be missing on these filters: load it anew
   * @returns {() => void} ends the subscription
   */
  subscribe(filters, callback, gap) {
    const remove = this.#feed.add({ filters: [filters].flat(), callback, gap });
    this.#update();
    return () => {
      remove();
      this.#update();
    };
  }

  /**
   * Publish; resolves when the server has it on its disk. Repeated by itself when the network
   * fails, and stored once all the same.
   *
   * @param {string} topic
   * @param {unknown} data any JSON value
   * @param {PublishOptions} [options]
   * @returns {Promise<{id: string, topic: string, offset?: number, cursor?: string, duplicate: boolean}>}
   */
  publish(topic, data, options = {}) {
    return this.api.call("POST", this.api.url("publish"), { id: randomId(), ...options, topic, data }, TRIES);
  }

  /**
   * Find out which transports work from here, and what is in the way; a few seconds. Its code is
   * loaded when it is needed.
   *
   * @returns {Promise<import("./diagnose.js").Report>}
   */
  async diagnose() {
    return (await import("./diagnose.js")).diagnose(this);
  }

  /** The end; this client is of no use any more. */
  close() {
    this.#listen(globalThis.removeEventListener);
    this.#pause();
    this.#link.close("closed");
  }

  // ---- what is wanted ----

  /** Filters of all tabs that share the connection. */
  #union() {
    return [...new Set([this.#feed.filters(), ...(this.#tabs?.wants.values() ?? [])].flat())].sort();
  }

  /** Something is wanted that was not, or the other way round: act once for all of this turn. */
  #update() {
    if (this.#queued) return;
    this.#queued = true;
    queueMicrotask(() => {
      this.#queued = false;
      if (this.state === "closed") return;
      if (!this.#begun) void this.#begin((this.#begun = {}));
      this.#tabs?.announce();
      if (this.leads) this.#adjust();
      this.#settle();
    });
  }

  #settle() {
    if (this.state === "live") this.#feed.settle();
  }

  /** Bring the connection to what is wanted. */
  #adjust() {
    const link = this.#link;
    if (link.status.state === "idle") return this.#start();
    const wanted = this.#union();
    if (!wanted.length && !this.#options.inbox) return link.stop();
    const sent = this.#sent;
    this.#sent = wanted;
    /** @type {(type: string, filters: string[], cursor?: string) => boolean} */
    const tell = (type, filters, cursor) => !filters.length || link.send({ type, filters, cursor });
    const added = wanted.filter((filter) => !sent.includes(filter));
    const dropped = sent.filter((filter) => !wanted.includes(filter));
    if (!tell("subscribe", added, this.cursor) || !tell("unsubscribe", dropped)) link.renew();
  }

  /** Connect, or find the tab that is connected. @param {object} turn */
  async #begin(turn, attempt = 0) {
    const { server, user, inbox, shared } = this.#options;
    const feed = this.#feed;
    if (!shared) return this.#start();
    const loading = loadTabs().catch(() => {});
    let token;
    try {
      token = await this.api.token();
    } catch (error) {
      setTimeout(() => turn === this.#begun && this.#begin(turn, attempt + 1), backoff(attempt));
      return this.emit("error", error);
    }
    const tabs = await loading;
    if (turn !== this.#begun) return;
    // Who cannot share has a connection of their own.
    this.#options.shared = !!tabs;
    this.#tabs = tabs?.joinTabs(`reddot ${server} ${inbox}`, tabs.userOf(token) ?? user, {
      lead: () => this.#start(),
      follow: () => this.#link.stop(),
      hear: (message) => this.#hear(message),
      take: feed.take,
      catchUp: feed.catchUp,
      miss: feed.miss,
      want: () => ({ filters: feed.filters(), cursor: feed.cursor }),
      wanted: () => this.#update(),
      woke: () => this.#wake(),
    });
    if (!tabs) this.#start();
  }

  #start() {
    const filters = this.#union();
    if (!filters.length && !this.#options.inbox) return;
    if (!this.#begun || (this.#options.shared && !this.#tabs?.leads)) return;
    // What is being opened already has them.
    this.#sent = filters;
    this.#link.start();
  }

  /** Let go of connection and lead, to come back later with the cursor. */
  #pause() {
    this.#begun = undefined;
    this.#part();
    this.#link.stop();
  }

  /** Leave the other tabs. */
  #part() {
    this.#tabs?.leave();
    this.#tabs = undefined;
  }

  /** @param {typeof addEventListener | undefined} change none outside of a page */
  #listen(change) {
    for (const event of ["online", "visibilitychange", "pageshow", "pagehide"]) change?.(event, this.#visit);
  }

  /** Somebody comes, or goes. @param {Event} event */
  #visit = ({ type }) => (type === "pagehide" ? this.#pause() : this.#wake());

  #wake() {
    if (!this.#begun) this.#update();
    else if (document.hidden) return;
    else if (this.leads) this.#link.hurry();
    else this.#tabs?.tell({ hurry: 1 });
  }

  // ---- what the link asks ----

  /** @returns {import("./link.js").Hooks} */
  #hooks() {
    const { api } = this;
    let refreshed = false;
    /** @type {import("./link.js").Hooks["note"]} */
    const note = ({ name }, what, reason) => {
      const told = { at: Date.now(), transport: name, what, reason };
      if (this.trail.push(told) > TRAIL_MAX) this.trail.shift();
      this.emit("transport", told);
    };
    return {
      prepare: async (transport) => {
        note(transport, "trying");
        const init = await api.init();
        const { authorization } = init.headers;
        // Other tabs would get what is for somebody else.
        if (authorization && this.#tabs?.isFor(authorization) === false) throw { reason: "user_changed", final: true };
        const ticket = transport.ticket && authorization ? (await api.call("POST", api.url("tickets"))).ticket : undefined;
        const filters = (this.#sent = this.#union());
        const inbox = this.#options.inbox ? undefined : false;
        return {
          cursor: this.cursor,
          init,
          address: (path, parameters) => api.url(path, { ticket, inbox, ...parameters }, filters),
        };
      },

      take: (frame) => {
        refreshed = false;
        if (frame.type !== "error") {
          this.#tabs?.tell({ frame });
          return this.#feed.take(frame);
        }
        // A command was refused: the same is true of the connection that it would have made.
        this.emit("error", new ReddotError(frame.status, /** @type {any} */ (frame)));
        if (frame.retry) this.#link.renew();
        else this.#link.close(frame.code);
      },

      change: (status) => {
        // Another tab may have a better credential.
        if (status.state === "closed") this.#part();
        if (this.leads) this.#report();
        this.#show(status);
      },

      refused: () => {
        // Once in a row a fresh one is asked for.
        api.forget();
        return !refreshed && (refreshed = true);
      },

      note,
    };
  }

  /** @param {Status} status of the connection, whichever tab has it */
  #show(status) {
    Object.assign(this, status);
    this.emit("state", status.state);
    this.#settle();
  }

  /** Tell the other tabs how things are. */
  #report() {
    const { cursor, badge } = this.#feed;
    this.#tabs?.tell({ state: this.#link.status, cursor, badge });
  }

  /** What another tab says. @param {any} message */
  #hear({ hello, hurry, state, cursor, badge }) {
    const feed = this.#feed;
    feed.cursor ??= cursor;
    if (this.leads) {
      if (hello) this.#report();
      if (hurry) this.#link.hurry();
      return;
    }
    if (badge) feed.count(badge);
    if (state) this.#show(state);
  }
}
