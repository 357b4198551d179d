/**
 * What the service worker does: a push becomes a notification and a badge, a click opens its
 * address and marks it as read.
 *
 * It has no credential and calls nobody. What is to be marked it leaves to a page of the same
 * person (`pending.js`), which is there a moment after the click.
 */

import { addRead } from "./pending.js";

/**
 * @typedef {object} Message what the server has sent, after decryption
 * @property {string} id
 * @property {string} title
 * @property {string} [body]
 * @property {string} [url]
 * @property {string} [icon]
 * @property {string} [tag] the collapse key
 * @property {string} [category]
 * @property {"low" | "normal" | "high" | "urgent"} [priority]
 * @property {number} [unread] the badge
 * @property {number} [count] how many notifications it stands for
 * @property {number} [time_ms]
 * @property {{title: string, url?: string, id?: string}[]} [actions]
 * @property {any} [data]
 */

/** How long a page that is looked at may take to say that it shows the message itself. */
const ANSWER_MS_MAX = 500;

/** @param {any} scope the ServiceWorkerGlobalScope */
export function serve(scope) {
  scope.addEventListener("install", () => scope.skipWaiting());
  const handlers = { push, notificationclick: click, pushsubscriptionchange: renew };
  for (const [type, handle] of Object.entries(handlers)) {
    scope.addEventListener(type, (/** @type {any} */ event) => event.waitUntil(handle(scope, event)));
  }
}

// ---- a push ----

/** One at a time: what one finds stale must not be what the next has just shown. */
let last = Promise.resolve();

/**
 * @param {any} scope
 * @param {any} event
 */
function push(scope, event) {
  const done = last.then(() => take(scope, event));
  last = done.catch(() => {});
  return done;
}

/**
 * Browsers insist on a notification for each push, but for a page that somebody looks at.
 *
 * @param {any} scope
 * @param {any} event
 */
async function take(scope, event) {
  const message = read(scope, event);
  const { registration } = scope;
  const [shown] = await Promise.all([ours(registration), setBadge(scope, message.unread)]);
  // Nothing else is unread: the other ones have been read elsewhere.
  const stale = (message.unread ?? Infinity) <= (message.count ?? 1);
  for (const one of shown) if (stale && one.data.id !== message.id) one.close();
  if (await isShown(scope, message)) return;
  const again = shown.some((/** @type {any} */ one) => one.data.id === message.id);
  await registration.showNotification(message.title, options(scope, message, again));
}

/**
 * The message; one that cannot be read is still one.
 *
 * @param {any} scope
 * @param {any} event
 * @returns {Message}
 */
function read(scope, event) {
  let message;
  try {
    message = event.data.json();
  } catch {
    // Shown below, as something that has come.
  }
  const { host } = new URL(scope.registration.scope);
  return { ...message, id: String(message?.id ?? ""), title: String(message?.title || host) };
}

/**
 * @param {any} scope
 * @param {Message} message
 * @param {boolean} again whether the same one is shown already
 */
function options(scope, { id, body, url, icon, tag, priority, time_ms, actions, data }, again) {
  const chosen = (Array.isArray(actions) ? actions : []).slice(0, scope.Notification?.maxActions ?? 2);
  return {
    body: String(body ?? ""),
    icon: address(scope, icon),
    tag: String(tag || id),
    // A successor is news, a repetition is not. What has no tag cannot be either.
    renotify: Boolean(tag || id) && !again && priority !== "low",
    silent: priority === "low" || again,
    requireInteraction: priority === "urgent",
    timestamp: time_ms,
    actions: chosen.map(({ title }, index) => ({ action: String(index), title: String(title) })),
    data: { reddot: true, id, url, actions: chosen, time_ms, data },
  };
}

/** Whether a page that is looked at shows the message itself. @param {any} scope @param {Message} message */
async function isShown(scope, message) {
  const focused = (await windows(scope)).filter(({ focused }) => focused);
  const answers = focused.map(
    (one) =>
      new Promise((resolve) => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = ({ data }) => resolve(data === true);
        setTimeout(resolve, ANSWER_MS_MAX, false);
        one.postMessage({ reddot: "push", id: message.id }, [port2]);
      }),
  );
  return (await Promise.all(answers)).includes(true);
}

/** @param {any} scope @param {number | undefined} unread */
async function setBadge({ navigator }, unread) {
  if (!navigator?.setAppBadge || !Number.isInteger(unread)) return;
  await navigator.setAppBadge(unread).catch(() => {});
}

// ---- a click ----

/**
 * @param {any} scope
 * @param {any} event
 */
async function click(scope, { notification, action }) {
  const data = notification.data;
  if (!data?.reddot) return;
  notification.close();
  const chosen = data.actions[action];
  if (data.id) await addRead(data.id).catch(() => {});
  await show(scope, address(scope, chosen ? chosen.url : data.url)).catch(() => {});
  tell(await windows(scope), { reddot: "click", id: data.id, action: chosen?.id, data: data.data });
}

/**
 * Focus the tab that shows the address, or any of ours if there is none to show; else open one.
 *
 * @param {any} scope
 * @param {string | undefined} url
 */
async function show(scope, url) {
  const open = await windows(scope);
  const found = open.find((one) => (url ? one.url === url : one.url.startsWith(scope.registration.scope)));
  if (found) await found.focus();
  else await scope.clients.openWindow(url ?? scope.registration.scope);
}

/**
 * An address that may be opened: of this site if it is relative, and of the web in any case.
 *
 * @param {any} scope
 * @param {unknown} text
 */
function address(scope, text) {
  if (!text || typeof text !== "string" || !URL.canParse(text, scope.registration.scope)) return undefined;
  const url = new URL(text, scope.registration.scope);
  return ["http:", "https:"].includes(url.protocol) ? url.href : undefined;
}

// ---- a new subscription ----

/**
 * The browser has changed the subscription: a page tells the server, now or when there is one.
 *
 * @param {any} scope
 * @param {any} event
 */
async function renew(scope, { oldSubscription, newSubscription }) {
  const { pushManager } = scope.registration;
  if (!newSubscription && oldSubscription) await pushManager.subscribe(oldSubscription.options).catch(() => {});
  tell(await windows(scope), { reddot: "renew" });
}

// ---- others ----

/** @param {any} registration @returns {Promise<any[]>} our notifications that are shown */
async function ours(registration) {
  return (await registration.getNotifications()).filter((/** @type {any} */ one) => one.data?.reddot);
}

/** @param {any} scope @returns {Promise<any[]>} the tabs of this site */
function windows({ clients }) {
  return clients.matchAll({ type: "window", includeUncontrolled: true });
}

/** @param {any[]} pages @param {object} message */
function tell(pages, message) {
  for (const page of pages) page.postMessage(message);
}
