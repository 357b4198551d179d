/** Listeners by event name. One that throws stops neither the others nor the connection. */

/** @typedef {(value: any) => void} Listener */

export class Emitter {
  /** @type {Record<string, Set<Listener>>} */
  #listeners = {};

  /**
   * @param {string} event
   * @param {Listener} listener
   * @returns {() => void} what takes it away again
   */
  on(event, listener) {
    const all = (this.#listeners[event] ??= new Set());
    all.add(listener);
    return () => void all.delete(listener);
  }

  /**
   * @param {string} event
   * @param {unknown} [value]
   */
  emit(event, value) {
    for (const listener of [...(this.#listeners[event] ?? [])]) guard(listener, value);
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
