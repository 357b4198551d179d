/**
 * One tab at a time, by a Web Lock (W3C Web Locks API).
 *
 * The lock is queued for, so that a waiting tab starts by itself when the running one closes; or it
 * is stolen, and the tab that had it is told.
 */

const NAME = "reddot-demo";

export class TabLock {
  #gained;
  #lost;
  #queued;

  /** @param {() => void} gained may run now  @param {() => void} lost may not, or not yet */
  constructor(gained, lost) {
    this.#gained = gained;
    this.#lost = lost;
  }

  /** Run if no other tab does, else wait for it. Without Web Locks (plain http) just run. */
  async acquire() {
    if (!navigator.locks) return this.#gained();
    const { held } = await navigator.locks.query();
    if (held.some((lock) => lock.name === NAME)) this.#lost();
    this.#queued = new AbortController();
    return this.#hold({ signal: this.#queued.signal });
  }

  /** Take the lock away from the tab that has it. */
  steal() {
    this.#queued?.abort();
    return this.#hold({ steal: true });
  }

  async #hold(options) {
    let held = false;
    try {
      await navigator.locks.request(NAME, options, () => {
        held = true;
        this.#gained();
        return new Promise(() => {}); // until the tab closes
      });
    } catch (error) {
      if (error.name !== "AbortError") throw error;
      // Aborted while queued: steal() follows. Aborted while held: stolen; wait for our turn.
      if (held) {
        this.#lost();
        await this.acquire();
      }
    }
  }
}
