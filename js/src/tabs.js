/**
 * One leader among the tabs of a browser: it holds the connection, the others listen to it.
 *
 * The browser elects it: who holds the lock leads, and a lock of a tab that is gone is free. A
 * leader that hangs keeps its lock; a tab that somebody looks at and that gets no answer takes it.
 */

const PING_MS = 400;
const UNANSWERED_MAX = 2;
/** A ping that is so late comes from a machine that slept. */
const SLEPT_MS = 10_000;

/**
 * @typedef {object} TabHooks
 * @property {() => void} lead this tab has become the leader
 * @property {() => void} follow it is not the leader any more
 * @property {(message: any) => void} hear what another tab says
 * @property {() => object} want what this tab wants, to tell the others
 * @property {() => void} wanted what the others want has changed
 * @property {() => void} woke this tab did not run for a while
 */

export class Tabs {
  leads = false;
  /** @type {Map<string, string[]>} filters by tab */
  wants = new Map();

  #name;
  #hooks;
  #id = `${Date.now()}-${Math.random()}`;
  /** @type {BroadcastChannel | undefined} */
  #channel;
  /** What lets go of locks and of waiting for them. */
  #stop = new AbortController();
  #queued = new AbortController();
  #unanswered = 0;
  #pingedAt = Date.now();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #pinger;

  /** Whether this browser can do it; it needs a secure context. */
  static get possible() {
    return typeof BroadcastChannel !== "undefined" && !!globalThis.navigator?.locks;
  }

  /**
   * @param {string} name equal in tabs that may share
   * @param {TabHooks} hooks
   */
  constructor(name, hooks) {
    this.#name = name;
    this.#hooks = hooks;
  }

  start() {
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    // Others wait for this one, and so find out that the tab is gone.
    void this.#hold(this.#life(this.#id), {}, () => {});
    this.#stand({});
    this.#pinger = setInterval(() => this.#ping(), PING_MS);
    this.tell({ hello: this.#id });
    this.announce();
  }

  stop() {
    this.tell({ bye: this.#id });
    clearInterval(this.#pinger);
    this.#stop.abort();
    this.#queued.abort();
    this.#channel?.close();
    this.#channel = undefined;
    this.leads = false;
  }

  /** Say what this tab wants. */
  announce() {
    this.tell({ tab: this.#id, ...this.#hooks.want() });
  }

  /** @param {object} message */
  tell(message) {
    this.#channel?.postMessage(message);
  }

  /** @param {any} message */
  #hear(message) {
    if (!this.#channel) return;
    if (message.hello) this.announce();
    if (message.ping && this.leads) this.tell({ pong: 1 });
    // Only a leader says anything else than what tabs say of themselves.
    if (message.pong || message.frame || message.state) this.#unanswered = 0;
    if (message.tab) this.#want(message.tab, message.filters);
    if (message.bye) this.#gone(message.bye);
    this.#hooks.hear(message);
  }

  /**
   * @param {string} tab
   * @param {string[]} filters
   */
  #want(tab, filters) {
    const known = this.wants.has(tab);
    this.wants.set(tab, filters);
    if (this.leads) {
      if (!known) this.#watch(tab);
      this.#hooks.wanted();
    }
  }

  /** @param {string} tab */
  #gone(tab) {
    if (this.wants.delete(tab) && this.leads) this.#hooks.wanted();
  }

  /**
   * Wait for the lock that a tab holds for as long as it lives.
   *
   * @param {string} tab
   */
  #watch(tab) {
    const { signal } = this.#stop;
    navigator.locks.request(this.#life(tab), { signal }, () => this.#gone(tab)).catch(() => {});
  }

  /** @param {string} tab */
  #life(tab) {
    return `${this.#name} ${tab}`;
  }

  /**
   * Hold a lock until the end; resolves when it has been taken away.
   *
   * @param {string} name
   * @param {LockOptions} options
   * @param {() => void} granted
   */
  #hold(name, options, granted) {
    const { signal } = this.#stop;
    const hold = () =>
      new Promise((resolve) => {
        signal.addEventListener("abort", resolve);
        granted();
      });
    return navigator.locks.request(name, options, hold).catch(() => {});
  }

  /** @param {LockOptions} options */
  #stand(options) {
    this.#queued = new AbortController();
    const { signal } = this.#queued;
    const held = this.#hold(this.#name, options.steal ? options : { signal }, () => this.#lead());
    void held.then(() => {
      // Stolen while this tab hung, or given up to stand again.
      if (this.#stop.signal.aborted || signal.aborted) return;
      this.leads = false;
      this.#stand({});
      this.#hooks.follow();
    });
  }

  #lead() {
    if (this.#stop.signal.aborted) return;
    this.leads = true;
    for (const tab of this.wants.keys()) this.#watch(tab);
    this.#hooks.lead();
  }

  #ping() {
    if (Date.now() - this.#pingedAt > SLEPT_MS) this.#hooks.woke();
    this.#pingedAt = Date.now();
    if (this.leads || document.hidden) {
      this.#unanswered = 0;
    } else if (++this.#unanswered > UNANSWERED_MAX) {
      this.#unanswered = 0;
      this.#queued.abort();
      this.#stand({ steal: true });
    } else {
      this.tell({ ping: 1 });
    }
  }
}
