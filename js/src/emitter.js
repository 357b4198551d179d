/** Listeners by event name. One that throws stops neither the others nor the connection. */

/** @typedef {(value: any) => void} Listener */

export class Emitter {
  /** @type {Map<string, Set<Listener>>} */
  #listeners = new Map();

  /**
   * @param {string} event
   * @param {Listener} listener
   * @returns {() => void} what takes it away again
   */
  on(event, listener) {
    const all = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, all.add(listener));
    return () => void all.delete(listener);
  }

  /**
   * @param {string} event
   * @param {unknown} [value]
   */
  emit(event, value) {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) guard(listener, value);
  }
}

/**
 * Call a page's function; what it throws is reported as any uncaught error of the page.
 *
 * @param {Listener} listener
 * @param {unknown} value
 */
export function guard(listener, value) {
  try {
    listener(value);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
