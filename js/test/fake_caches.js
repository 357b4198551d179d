/** The browser's `caches`, as far as push needs them. */

const ORIGIN = "https://app.test";

class FakeCache {
  /** @type {Map<string, string>} */
  #kept = new Map();

  async keys() {
    return [...this.#kept.keys()].map((url) => ({ url }));
  }

  /** @param {string} path */
  async match(path) {
    const text = this.#kept.get(ORIGIN + path);
    return text === undefined ? undefined : new Response(text);
  }

  /** @param {string} path @param {Response} response */
  async put(path, response) {
    this.#kept.delete(ORIGIN + path);
    this.#kept.set(ORIGIN + path, await response.text());
  }

  /** @param {string} path */
  async delete(path) {
    return this.#kept.delete(ORIGIN + path);
  }
}

export class FakeCaches {
  /** @type {Map<string, FakeCache>} */
  #caches = new Map();

  /** @param {string} name */
  async open(name) {
    const found = this.#caches.get(name) ?? new FakeCache();
    this.#caches.set(name, found);
    return found;
  }

  /** @param {string} name */
  async delete(name) {
    return this.#caches.delete(name);
  }
}
