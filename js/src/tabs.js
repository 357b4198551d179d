/**
 * One leader among the tabs of a browser: it holds the connection, the others listen to it.
 *
 * The browser elects it: who holds the lock leads, and a lock of a tab that is gone is free. A
 * leader that hangs keeps its lock; a tab that somebody looks at and that gets no answer takes it.
 */

import { claimsOf } from "./api.js";

const PING_MS = 400;
const UNANSWERED_MAX = 2;
/** Frames; beyond, the page is told of a gap. */
const HELD_MAX = 10_000;
/** A ping that is so late comes from a machine that slept. */
const SLEPT_MS = 10_000;

/**
 * @typedef {object} TabHooks
 * @property {() => void} lead this tab has become the leader
 * @property {() => void} follow it is not the leader any more
 * @property {(message: any) => void} hear what another tab says
 * @property {(frame: any) => void} take what the leader's connection has brought
 * @property {() => Promise<unknown>} catchUp fetch what this tab has missed
 * @property {() => void} miss that could not be had
 * @property {() => {filters: string[], cursor?: string}} want what this tab wants, to tell the others
 * @property {() => void} wanted what the others want has changed
 * @property {() => void} woke this tab did not run for a while
 *
 * @typedef {ReturnType<typeof joinTabs>} Tabs
 */

/** Whose a token is. @param {string | null | undefined} token */
export const userOf = (token) => claimsOf(token).sub;

/**
 * @param {string} what equal in tabs that may share
 * @param {string | undefined} user never shared between users: each has rights and an inbox of their own
 * @param {TabHooks} hooks
 */
export function joinTabs(what, user, { lead, follow, hear, take, catchUp, miss, want, wanted, woke }) {
  const name = `${what} ${user ?? ""}`;
  const id = `${Date.now()}-${Math.random()}`;
  const channel = new BroadcastChannel(name);
  /** What lets go of locks and of waiting for them. */
  const leaving = new AbortController();
  const { signal: left } = leaving;
  let standing = new AbortController();
  let unanswered = 0;
  /** What the leader says before a tab that was away has what it missed. @type {object[] | undefined} */
  let held = want().cursor ? [] : undefined;
  let catching = false;
  let pingedAt = Date.now();

  /** @param {object} message */
  const tell = (message) => {
    if (!left.aborted) channel.postMessage(message);
  };

  /** Take what was held. @param {boolean} incomplete */
  const release = (incomplete) => {
    const frames = held;
    if (!frames || left.aborted) return;
    held = undefined;
    if (incomplete) miss();
    frames.forEach(take);
  };

  /** The leader has a connection: what is missing can be had. */
  const settle = () => {
    if (!held || catching) return;
    catching = true;
    const incomplete = catchUp().then(() => false, () => true);
    void incomplete.then(release);
  };

  /** @param {object} frame */
  const listen = (frame) => {
    if (!held) take(frame);
    else if (held.push(frame) > HELD_MAX) release(true);
  };

  /** The lock that a tab holds for as long as it lives. @param {string} tab */
  const life = (tab) => `${name} ${tab}`;

  /**
   * Hold a lock until the end; resolves when it has been taken away.
   *
   * @param {string} lock
   * @param {LockOptions} options
   * @param {() => void} [granted]
   */
  const hold = (lock, options, granted) => {
    const keep = () =>
      new Promise((resolve) => {
        left.addEventListener("abort", resolve);
        granted?.();
      });
    return navigator.locks.request(lock, options, keep).catch(() => {});
  };

  /** Find out when a tab is gone. @param {string} tab */
  const watch = (tab) => void navigator.locks.request(life(tab), { signal: left }, () => forget(tab)).catch(() => {});

  /** @param {string} tab */
  const forget = (tab) => {
    if (tabs.wants.delete(tab) && tabs.leads) wanted();
  };

  /** @param {LockOptions} [options] */
  const stand = async (options) => {
    const { signal } = (standing = new AbortController());
    await hold(name, options ?? { signal }, () => {
      if (left.aborted) return;
      tabs.leads = true;
      held = undefined;
      [...tabs.wants.keys()].forEach(watch);
      lead();
    });
    // Stolen while this tab hung, or given up to stand again.
    if (left.aborted || signal.aborted) return;
    tabs.leads = false;
    void stand();
    follow();
    tell({ hello: id });
  };

  const ping = () => {
    if (Date.now() - pingedAt > SLEPT_MS) woke();
    pingedAt = Date.now();
    if (tabs.leads || document.hidden) {
      unanswered = 0;
    } else if (++unanswered > UNANSWERED_MAX) {
      unanswered = 0;
      standing.abort();
      void stand({ steal: true });
    } else {
      tell({ ping: 1 });
    }
  };

  const tabs = {
    leads: false,
    /** Filters by tab. @type {Map<string, string[]>} */
    wants: new Map(),
    tell,

    /** Whether a token is one of the user whose tabs these are. @param {string} token */
    isFor: (token) => userOf(token) === user,

    /** Say what this tab wants. */
    announce: () => tell({ tab: id, ...want() }),

    leave() {
      tell({ bye: id });
      clearInterval(pinger);
      leaving.abort();
      standing.abort();
      channel.close();
      tabs.leads = false;
    },
  };

  channel.onmessage = ({ data }) => {
    if (left.aborted) return;
    const { tab, filters, bye, frame, state } = data;
    if (data.hello) tabs.announce();
    if (data.ping && tabs.leads) tell({ pong: 1 });
    // Only a leader says anything else than what tabs say of themselves.
    if (data.pong || frame || state) unanswered = 0;
    if (tab) {
      const known = tabs.wants.has(tab);
      tabs.wants.set(tab, filters);
      if (tabs.leads && !known) watch(tab);
      if (tabs.leads) wanted();
    }
    if (bye) forget(bye);
    hear(data);
    if (tabs.leads) return;
    if (frame) listen(frame);
    if (state?.state === "live") settle();
  };
  // Others wait for this one, and so find out that the tab is gone.
  void hold(life(id), {});
  void stand();
  const pinger = setInterval(ping, PING_MS);
  tell({ hello: id });
  tabs.announce();
  return tabs;
}
