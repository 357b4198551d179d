/**
 * The client: what a page subscribes to, the one cursor, and who gets what.
 *
 * Frames come from a connection of this tab, or from the tab that leads; either way they are taken
 * here, and what came before is dropped.
 */

import { Api, ReddotError, claimsOf } from "./api.js";
import { backoff } from "./backoff.js";
import { Emitter, guard } from "./emitter.js";
import { Link } from "./link.js";
import { Tabs } from "./tabs.js";
import { matches, Offsets } from "./topics.js";
import { longPoll } from "./transports/polling.js";
import { sse } from "./transports/sse.js";
import { websocket } from "./transports/websocket.js";

/**
 * @typedef {import("./frames.js").Frame} Frame
 * @typedef {import("./frames.js").Publication} Publication
 * @typedef {import("./frames.js").Gap} Gap
 * @typedef {import("./link.js").State} State
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
 * @typedef {object} Subscription
 * @property {string[]} filters
 * @property {(publication: Publication) => void} callback
 * @property {((gap: Gap) => void) | undefined} gap
 *
 * @typedef {object} PublishOptions
 * @property {string} [event]
 * @property {string} [id] idempotency key; default: a random one
 * @property {boolean} [ephemeral]
 * @property {number} [ttl] seconds
 * @property {boolean} [retain]
 *
 * @typedef {{state: State, transport?: string, reason: string, retryAt: number}} Status
 */

/** Of a publish: after the last one the page is told. */
const TRIES = 4;
/** Frames; beyond, the page is told of a gap. */
const HELD_MAX = 10_000;
/** Notes; older ones are forgotten. */
const TRAIL_MAX = 50;
const TRANSPORTS = [websocket, sse, longPoll];

export class Client extends Emitter {
  /**
   * The latest decisions about transports, oldest first, with the time in milliseconds since 1970.
   *
   * @type {(import("./chooser.js").Note & {at: number})[]}
   */
  trail = [];

  #options;
  #link;
  /** @type {Tabs | undefined} */
  #tabs;
  /** @type {Set<Subscription>} */
  #subscriptions = new Set();
  #offsets = new Offsets();
  /** @type {string | undefined} */
  #cursor;
  /** @type {string[]} the filters that the connection has */
  #sent = [];
  /** @type {Set<string>} filters of this tab whose retained values have not come yet */
  #owed = new Set();
  /** @type {Status | undefined} what the leader says of its connection */
  #followed;
  /** @type {string | undefined} */
  #user;
  #refreshed = false;
  /** @type {Frame[] | undefined} what the leader says before this tab has what it missed */
  #held;
  /** @type {import("./frames.js").Badge | undefined} */
  #badge;
  #catching = false;
  #queued = false;
  /** @type {object | undefined} this stay on the page; none: it is put away */
  #begun;
  #closed = false;

  /** @param {Options} [options] */
  constructor(options = {}) {
    super();
    const { server = location.origin, token, credentials = "same-origin", user } = options;
    const { inbox = !!(token || user), shared = inbox } = options;
    this.#options = { server, inbox, shared: shared && Tabs.possible };
    this.#user = user;
    /** Requests with the credential of the moment. */
    this.api = new Api(server, token, credentials);
    this.#link = new Link(options.transports ?? TRANSPORTS, `reddot ${server}`, {
      prepare: this.#prepare,
      frame: this.#fromLink,
      change: () => this.#status(),
      refused: this.#refresh,
      note: this.#note,
    });
    this.#listen(globalThis.addEventListener);
    if (inbox) this.#change();
  }

  /** @returns {State} */
  get state() {
    return this.#shown.state;
  }

  /** Name of the transport in use; of the leading tab's, if it is not this one. */
  get transport() {
    return this.#shown.transport;
  }

  /** Why it is not live. */
  get reason() {
    return this.#shown.reason;
  }

  /** While `waiting`: when it is tried again, in milliseconds since 1970. */
  get retryAt() {
    return this.#shown.retryAt;
  }

  /** "Everything up to here was delivered." */
  get cursor() {
    return this.#cursor;
  }

  /** Whether this tab holds the connection. */
  get leads() {
    return !this.#tabs || this.#tabs.leads;
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
    const subscription = { filters: [filters].flat(), callback, gap };
    const known = this.#own();
    for (const filter of subscription.filters) if (!known.includes(filter)) this.#owed.add(filter);
    this.#subscriptions.add(subscription);
    this.#change();
    return () => {
      this.#subscriptions.delete(subscription);
      this.#change();
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
    const id = crypto.getRandomValues(new Uint32Array(4)).join("-");
    return this.api.call("POST", this.api.url("publish"), { id, ...options, topic, data }, TRIES);
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
    if (this.#closed) return;
    this.#closed = true;
    this.#listen(globalThis.removeEventListener);
    this.#pause();
    this.#followed = undefined;
    this.#link.close("closed");
  }

  // ---- what is wanted ----

  /** Filters of this tab. */
  #own() {
    return [...new Set([...this.#subscriptions].flatMap(({ filters }) => filters))];
  }

  /** Filters of all tabs that share the connection. */
  #union() {
    return [...new Set([...this.#own(), ...[...(this.#tabs?.wants.values() ?? [])].flat()])].sort();
  }

  /** Something is wanted that was not, or the other way round: act once for all of this turn. */
  #change() {
    if (this.#queued) return;
    this.#queued = true;
    queueMicrotask(() => {
      this.#queued = false;
      if (this.#closed) return;
      if (!this.#begun) void this.#begin((this.#begun = {}));
      this.#tabs?.announce();
      if (this.leads) this.#adjust();
      this.#settle();
    });
  }

  /** Bring the connection to what is wanted. */
  #adjust() {
    if (this.#link.state === "idle") return this.#start();
    const wanted = this.#union();
    const added = wanted.filter((filter) => !this.#sent.includes(filter));
    const dropped = this.#sent.filter((filter) => !wanted.includes(filter));
    if (!wanted.length && !this.#options.inbox) return this.#link.stop();
    const tell = (/** @type {string} */ type, /** @type {string[]} */ filters, /** @type {object} */ more) =>
      !filters.length || this.#link.send({ type, filters, ref: type, ...more });
    const told = tell("subscribe", added, { cursor: this.#cursor }) && tell("unsubscribe", dropped, {});
    this.#sent = wanted;
    if (!told) this.#link.renew();
  }

  /** Connect, or find the tab that is connected. @param {object} turn */
  async #begin(turn, attempt = 0) {
    const { server, inbox, shared } = this.#options;
    if (!shared) return this.#start();
    try {
      this.#user = claimsOf(await this.api.token()).sub ?? this.#user;
    } catch (error) {
      setTimeout(() => turn === this.#begun && this.#begin(turn, attempt + 1), backoff(attempt));
      return this.emit("error", error);
    }
    if (turn !== this.#begun) return;
    // Never shared between users: each has rights and an inbox of their own.
    this.#tabs = new Tabs(`reddot ${server} ${inbox} ${this.#user ?? ""}`, {
      lead: () => this.#start(),
      follow: () => {
        this.#link.stop();
        this.#tabs?.tell({ hello: 1 });
      },
      hear: (message) => this.#hear(message),
      want: () => ({ filters: this.#own(), cursor: this.#cursor }),
      wanted: () => this.#change(),
      woke: this.#wake,
    });
    this.#tabs.start();
  }

  #start() {
    const filters = this.#union();
    if (!filters.length && !this.#options.inbox) return;
    if (!this.#begun || (this.#options.shared && !this.#tabs?.leads)) return;
    this.#followed = this.#held = undefined;
    // What is being opened already has them.
    this.#sent = filters;
    this.#link.start();
  }

  /** Let go of connection and lead, to come back later with the cursor. */
  #pause = () => {
    this.#begun = undefined;
    this.#held = this.#cursor ? [] : undefined;
    this.#tabs?.stop();
    this.#tabs = undefined;
    this.#link.stop();
  };

  /** @param {typeof addEventListener | undefined} change none outside of a page */
  #listen(change) {
    if (!change) return;
    change("online", this.#wake);
    change("visibilitychange", this.#wake);
    change("pageshow", this.#wake);
    change("pagehide", this.#pause);
  }

  #wake = () => {
    if (!this.#begun) this.#change();
    else if (document.hidden) return;
    else if (this.leads) this.#link.hurry();
    else this.#tabs?.tell({ hurry: 1 });
  };

  // ---- what the link asks ----

  /**
   * @param {Transport} transport
   * @returns {Promise<import("./transports/face.js").Request>}
   */
  #prepare = async (transport) => {
    const api = this.api;
    this.#note(transport, "trying");
    const init = await api.init();
    if (this.#tabs && this.#user !== claimsOf(init.headers.authorization).sub && init.headers.authorization) {
      // Other tabs would get what is for somebody else.
      throw { reason: "user_changed", final: true };
    }
    const needed = transport.ticket && init.headers.authorization;
    const ticket = needed ? (await api.call("POST", api.url("tickets"))).ticket : undefined;
    const filters = (this.#sent = this.#union());
    const inbox = this.#options.inbox ? undefined : false;
    return {
      cursor: this.#cursor,
      init,
      address: (path, parameters) => api.url(path, { ticket, inbox, ...parameters }, filters),
    };
  };

  /** @type {import("./link.js").Hooks["note"]} */
  #note = ({ name }, what, reason) => {
    const note = { at: Date.now(), transport: name, what, reason };
    if (this.trail.push(note) > TRAIL_MAX) this.trail.shift();
    this.emit("transport", note);
  };

  /** The credential was refused: once in a row a fresh one is asked for. */
  #refresh = () => {
    this.api.forget();
    const again = !this.#refreshed;
    this.#refreshed = true;
    return again;
  };

  /** @param {Frame} frame */
  #fromLink = (frame) => {
    this.#refreshed = false;
    if (frame.type === "error") return this.#error(frame);
    this.#tabs?.tell({ frame });
    this.#take(frame);
  };

  /** A command was refused: the same is true of the connection that it would have made. @param {Frame} frame */
  #error({ code, status, title, detail, retry }) {
    this.emit("error", new ReddotError(status, { code, title, detail, retry }));
    if (retry) this.#link.renew();
    else this.#link.close(code);
  }

  /** @returns {Status} */
  get #shown() {
    return this.#followed ?? this.#link;
  }

  #status() {
    if (this.#link.state === "closed") {
      // Another tab may have a better credential.
      this.#tabs?.stop();
      this.#tabs = undefined;
    }
    if (this.leads) this.#tabs?.tell(this.#report());
    this.#changed();
  }

  #changed() {
    this.emit("state", this.state);
    if (this.state === "live") this.#settle();
  }

  #report() {
    const { state, transport, reason, retryAt } = this.#link;
    return { state: { state, transport, reason, retryAt }, cursor: this.#cursor, badge: this.#badge };
  }

  // ---- what other tabs say ----

  /** @param {any} message */
  #hear(message) {
    this.#cursor ??= message.cursor;
    if (this.leads) {
      if (message.hello) this.#tabs?.tell(this.#report());
      if (message.hurry) this.#link.hurry();
      return;
    }
    if (message.badge) this.#dot(message.badge);
    if (message.frame) {
      if (this.#held && this.#held.push(message.frame) > HELD_MAX) this.#release(true);
      else if (!this.#held) this.#take(message.frame);
    }
    if (message.state) {
      this.#followed = message.state;
      this.#changed();
    }
  }

  // ---- frames ----

  /** @param {Frame} frame */
  #take(frame) {
    const { type, cursor } = frame;
    if (type === "publication") this.#publication(/** @type {any} */ (frame));
    else if (type === "gap") this.#gap(/** @type {any} */ (frame));
    else if (type === "badge") this.#dot(/** @type {any} */ (frame));
    else if (type === "sync") this.#sync(frame);
    if (cursor) this.#cursor = cursor;
  }

  /** @param {Frame} frame */
  #sync({ gaps = [], badge }) {
    // A stream from now on begins with what is retained.
    if (!this.#cursor) this.#owed.clear();
    for (const gap of gaps) this.#gap(gap);
    if (badge) this.#dot(badge);
  }

  /** @param {import("./frames.js").Badge} badge */
  #dot(badge) {
    if (badge.as_of <= (this.#badge?.as_of ?? -1)) return;
    this.#badge = badge;
    this.emit("badge", badge);
  }

  /** @param {Publication} publication */
  #publication(publication) {
    const { topic, offset } = publication;
    if (!this.#offsets.isNew(topic, offset)) return;
    this.emit("publication", publication);
    for (const { filters, callback } of this.#subscriptions) {
      if (filters.some((filter) => matches(filter, topic))) guard(callback, publication);
    }
  }

  /** @param {Gap} gap */
  #gap(gap) {
    if (gap.reason === "epoch") {
      this.#offsets.clear();
      this.#badge = undefined;
    }
    this.emit("gap", gap);
    for (const { filters, gap: callback } of this.#subscriptions) {
      if (callback && filters.includes(gap.topic)) guard(callback, gap);
    }
  }

  /** Fetch what this tab has to have besides the stream, which may be another tab's. */
  #settle() {
    if (this.state !== "live" || !this.#cursor) return;
    // What is retained on filters that came after the stream had begun.
    if (this.#owed.size) this.#poll([...this.#owed]).catch((error) => this.emit("error", error));
    this.#owed.clear();
    // What the leader had heard before this tab came back.
    if (this.#held && !this.leads && !this.#catching) {
      this.#catching = true;
      this.#poll(this.#own(), this.#cursor).then(
        () => this.#release(),
        () => this.#release(true),
      );
    }
  }

  /**
   * @param {string[]} filters
   * @param {string} [cursor] none: what is retained
   */
  async #poll(filters, cursor) {
    for (let more = filters.length > 0; more; ) {
      const answer = await this.api.call("GET", this.api.url("poll", { inbox: false, cursor }, filters), undefined, TRIES);
      more = !!cursor && !!answer;
      cursor = answer?.cursor;
      answer?.gaps?.forEach((/** @type {Gap} */ gap) => this.#gap(gap));
      answer?.publications.forEach((/** @type {Publication} */ one) => this.#publication(one));
    }
  }

  /** Take what was held. @param {boolean} [incomplete] */
  #release(incomplete) {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#catching = false;
    if (incomplete) this.#own().forEach((topic) => this.#gap({ topic, reason: "trimmed" }));
    held.forEach((frame) => this.#take(frame));
  }
}
