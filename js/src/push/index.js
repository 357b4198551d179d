/**
 * Web Push in a page: subscribing, renewing, and what the service worker cannot do by itself.
 *
 * What `enablePush` and `disablePush` of a `Reddot` load. By itself it is for a `Client`:
 *
 *     const push = new Push(client);    // on every page: renews, marks what was clicked, tidies up
 *     await push.enable();              // in a click: asks the person
 *     await push.disable();             // when they have had enough, or log out
 */

import { claimsOf } from "../api.js";
import { flush, forget, setUser } from "./pending.js";

/**
 * @typedef {"unsupported" | "denied" | "off" | "on"} PushState
 *
 * @typedef {object} PushOptions
 * @property {string} [worker] address of the service worker, on the page's own origin
 * @property {ServiceWorkerRegistration} [registration] of a service worker of yours that imports ours
 * @property {string} [user] who is logged in, where pages have cookies and no tokens
 *
 * @typedef {{endpoint: string, user: string, at: number}} Told what the server knows
 */

const KEPT = "reddot push";
/** After so long the server is told again, and asked whether its key is still the same. */
const AGAIN_MS = 86_400_000;
const TIDY_MS = 1_000;
const UNREAD_MAX = 100;

/** Why push could not be enabled. */
export class PushError extends Error {
  name = "PushError";

  /**
   * @param {"unsupported" | "denied" | "dismissed" | "push_service"} code
   *   `unsupported`: by this browser, or on this page (on iOS only what is on the home screen);
   *   `denied`: the person has said no, and can change that in the browser only;
   *   `dismissed`: the person has said nothing; `push_service`: the browser's could not be reached.
   * @param {unknown} [cause]
   */
  constructor(code, cause) {
    super(code, { cause });
    this.code = code;
  }
}

/** @type {WeakMap<object, Push>} */
const pushes = new WeakMap();

/**
 * The one of a client, until that is closed.
 *
 * @param {import("../reddot.js").Reddot} client
 * @param {{push?: PushOptions, user?: string}} options the client's
 */
export function pushOf(client, { push, user }) {
  let found = pushes.get(client);
  if (!found) {
    found = new Push(client, { user, ...push });
    pushes.set(client, found);
    client.on("close", () => found?.stop());
  }
  return found;
}

export class Push {
  #client;
  #who;
  #worker;
  /** @type {ServiceWorkerRegistration | undefined} */
  #registration;
  /** @type {Promise<void> | undefined} */
  #enabling;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {() => void} */
  #off = () => {};

  /**
   * @param {import("../client.js").Client & {inbox?: import("../inbox.js").Inbox}} client
   * @param {PushOptions} [options]
   */
  constructor(client, { worker = "/reddot-sw.js", registration, user } = {}) {
    this.#client = client;
    this.#who = user;
    this.#worker = worker;
    this.#registration = registration;
    if (!this.supported) return;
    navigator.serviceWorker.addEventListener("message", this.#hear);
    navigator.serviceWorker.startMessages();
    this.#off = client.on("badge", this.#badge);
    this.#try(this.#resume());
  }

  /** Whether this browser could, on this page. */
  get supported() {
    return typeof Notification !== "undefined" && !!globalThis.PushManager && !!navigator.serviceWorker;
  }

  /** @returns {Promise<PushState>} what to show on the switch */
  async state() {
    if (!this.supported) return "unsupported";
    if (Notification.permission === "denied") return "denied";
    const kept = this.#kept();
    if (Notification.permission !== "granted" || !kept || kept.user !== (await this.#user())) return "off";
    return (await (await this.#registered())?.pushManager.getSubscription()) ? "on" : "off";
  }

  /**
   * Ask the person if they have not been, subscribe, and tell the server. Again is as good as once.
   *
   * @param {Promise<NotificationPermission>} [asked] what they will have answered, if they are asked already
   * @throws {PushError}
   * @throws {import("../api.js").ReddotError} the server has no Web Push (404), or cannot be reached
   */
  enable(asked) {
    return (this.#enabling ??= this.#enable(asked).finally(() => (this.#enabling = undefined)));
  }

  /** Unsubscribe here and there. It is off for this browser even if the server cannot be told. */
  async disable() {
    if (!this.supported) return;
    const registration = await this.#registered();
    const subscription = await registration?.pushManager.getSubscription();
    localStorage.removeItem(KEPT);
    await forget();
    for (const one of await shown(registration)) one.close();
    await subscription?.unsubscribe();
    if (subscription) await this.#call("DELETE", "push/subscriptions", { endpoint: subscription.endpoint });
  }

  /** The page does not care any more; what was enabled stays so. */
  stop() {
    if (!this.supported) return;
    navigator.serviceWorker.removeEventListener("message", this.#hear);
    clearTimeout(this.#timer);
    this.#off();
  }

  // ---- subscribing ----

  /** @param {Promise<NotificationPermission>} [asked] */
  async #enable(asked) {
    if (!this.supported) throw new PushError("unsupported");
    const permission = await (asked ?? Notification.requestPermission());
    if (permission !== "granted") throw new PushError(permission === "denied" ? "denied" : "dismissed");
    this.#registration ??= await navigator.serviceWorker.register(this.#worker).catch((error) => {
      throw new PushError("unsupported", error);
    });
    await this.#subscribe(await active(this.#registration));
  }

  /** @param {ServiceWorkerRegistration} registration */
  async #subscribe({ pushManager }) {
    const { key } = await this.#call("GET", "push/key");
    let subscription = await pushManager.getSubscription();
    if (subscription && written(subscription.options.applicationServerKey) !== key) {
      await subscription.unsubscribe();
      subscription = null;
    }
    const options = { userVisibleOnly: true, applicationServerKey: bytes(key) };
    subscription ??= await pushManager.subscribe(options).catch((error) => {
      throw new PushError(error.name === "NotAllowedError" ? "denied" : "push_service", error);
    });
    await this.#tell(subscription);
  }

  /** @param {PushSubscription} subscription */
  async #tell(subscription) {
    const user = (await this.#user()) ?? "";
    const { endpoint, keys } = subscription.toJSON();
    await this.#call("POST", "push/subscriptions", { endpoint, keys });
    await setUser(user);
    localStorage.setItem(KEPT, JSON.stringify({ endpoint, user, at: Date.now() }));
  }

  /** A page has been loaded, or the subscription has changed. */
  async #resume() {
    const kept = this.#kept();
    const user = await this.#user();
    if (!kept || !user || Notification.permission !== "granted") return;
    if (kept.user !== user) return this.#leave();
    await this.#flush();
    const registration = await this.#registered();
    const subscription = await registration?.pushManager.getSubscription();
    const known = subscription?.endpoint === kept.endpoint && Date.now() - kept.at < AGAIN_MS;
    if (!known) await this.#enable();
  }

  /** Somebody else is here now, and must not be shown what is for the one before. */
  async #leave() {
    const registration = await this.#registered();
    await (await registration?.pushManager.getSubscription())?.unsubscribe();
    for (const one of await shown(registration)) one.close();
    await forget();
    localStorage.removeItem(KEPT);
  }

  /** @returns {Promise<ServiceWorkerRegistration | undefined>} */
  async #registered() {
    return (this.#registration ??= await navigator.serviceWorker.getRegistration(this.#worker));
  }

  /** @returns {Told | undefined} */
  #kept() {
    return JSON.parse(localStorage.getItem(KEPT) ?? "null") ?? undefined;
  }

  async #user() {
    return claimsOf(await this.#client.api.token()).sub ?? this.#who;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   */
  async #call(method, path, body) {
    const { api } = this.#client;
    return api.call(method, api.url(path), body).catch((error) => {
      // An answer without a body is one.
      if (!(error instanceof SyntaxError)) throw error;
    });
  }

  // ---- what the worker says ----

  /** @param {MessageEvent} event */
  #hear = ({ data, ports: [port] }) => {
    if (data?.reddot === "push") port?.postMessage(this.#client.state === "live" && !document.hidden);
    if (data?.reddot === "renew") this.#try(this.#resume());
    if (data?.reddot === "click") {
      const { id, action } = data;
      this.#try(this.#flush());
      this.#client.emit("push", { id, action, data: data.data });
    }
  };

  async #flush() {
    const { inbox } = this.#client;
    await flush((await this.#user()) ?? "", async (ids) => {
      await (inbox ? inbox.mark(ids, "read") : this.#call("POST", "inbox/mark", { ids, as: "read" }));
      await this.#call("POST", "push/clicks", { ids });
    });
  }

  /** @param {Promise<unknown>} work */
  #try(work) {
    work.catch((error) => this.#client.emit("error", error));
  }

  // ---- what was read elsewhere ----

  #badge = (/** @type {import("../frames.js").Badge} */ { unread }) => {
    navigator.setAppBadge?.(unread).catch(() => {});
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#try(this.#tidy(unread)), TIDY_MS);
  };

  /** Take away what has been read, on whichever device. @param {number} unread */
  async #tidy(unread) {
    const notifications = await shown(await this.#registered());
    if (!notifications.length) return;
    const { api } = this.#client;
    const query = { view: "unread", limit: UNREAD_MAX };
    const { items, next } = unread ? await api.call("GET", api.url("inbox", query)) : { items: [], next: null };
    const ids = new Set(items.map((/** @type {any} */ item) => item.id));
    // What is older than the page that was asked for may still be unread.
    const since = next === null ? -Infinity : Date.parse(items.at(-1).time);
    for (const one of notifications) {
      if (!ids.has(one.data.id) && (one.data.time_ms ?? 0) >= since) one.close();
    }
  }
}

/** @param {ServiceWorkerRegistration | undefined} registration */
async function shown(registration) {
  const notifications = (await registration?.getNotifications()) ?? [];
  return notifications.filter(({ data }) => data?.reddot);
}

/** Wait until a service worker can be subscribed with. @param {ServiceWorkerRegistration} registration */
async function active(registration) {
  const worker = registration.installing ?? registration.waiting;
  while (!registration.active && worker) {
    await new Promise((resolve) => worker.addEventListener("statechange", resolve, { once: true }));
    if (worker.state === "redundant") throw new PushError("unsupported", "the service worker could not be installed");
  }
  return registration;
}

/** @param {string} key in base64url */
function bytes(key) {
  return Uint8Array.from(atob(key.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
}

/** The same key as the server writes it. @param {ArrayBuffer | null} key */
function written(key) {
  const text = String.fromCharCode(...new Uint8Array(key ?? new ArrayBuffer(0)));
  return btoa(text).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}
