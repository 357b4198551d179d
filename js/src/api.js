/** Requests to the server with the credential of the moment; errors of its table as exceptions. */

import { backoff, retryAfter } from "./backoff.js";

const ANSWER_MS_MAX = 15_000;
const TRIES = 4;

/** What the server has refused; `code` is one of its error table. */
export class ReddotError extends Error {
  name = "ReddotError";

  /**
   * @param {number} status of HTTP; 0: there was no answer
   * @param {{code?: string, detail?: string, title?: string, retry?: boolean}} problem
   * @param {number} [retryMs]
   */
  constructor(status, { code = `HTTP ${status}`, detail, title, retry = status >= 500 || !status }, retryMs) {
    super(detail || title || code);
    this.status = status;
    this.code = code;
    /** The same as an `End` of a connection. */
    this.reason = code;
    this.final = !retry;
    this.retryMs = retryMs;
  }
}

/**
 * The user of a JWT, as far as this page may know: it is the server that checks it.
 *
 * @param {string | null | undefined} token
 * @returns {string | undefined}
 */
export function userOf(token) {
  try {
    const payload = /** @type {string} */ (token).split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(payload), (char) => char.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)).sub;
  } catch {
    return undefined;
  }
}

export class Api {
  #server;
  #fetchToken;
  /** @type {Promise<string | null | undefined> | undefined} */
  #token;

  /**
   * @param {string} server
   * @param {(() => Promise<string | null | undefined> | string | null | undefined) | undefined} token
   * @param {RequestCredentials} credentials
   */
  constructor(server, token, credentials) {
    this.#server = server;
    this.#fetchToken = token;
    this.credentials = credentials;
  }

  /** @param {string} path below `/v1/` */
  url(path) {
    return new URL(path.includes(":") ? path : `/v1/${path}`, this.#server);
  }

  /** The token; asked for once, until it is forgotten or could not be had. */
  token() {
    const token = (this.#token ??= (async () => this.#fetchToken?.())());
    token.catch(() => this.#token === token && this.forget());
    return token;
  }

  forget() {
    this.#token = undefined;
  }

  /** @returns {Promise<Record<string, string>>} */
  async headers() {
    const token = await this.token();
    return token ? { authorization: `Bearer ${token}` } : {};
  }

  /**
   * Ask, and ask once more with a fresh token if this one is refused.
   *
   * @param {string} method
   * @param {string | URL} path
   * @param {unknown} [body] as JSON
   * @returns {Promise<any>} the answer
   * @throws {ReddotError}
   */
  async call(method, path, body) {
    for (let fresh = false; ; fresh = true) {
      const answer = await this.#send(method, path, body);
      if (answer.ok) return answer.status === 204 ? undefined : answer.json();
      const problem = await answer.json().catch(() => ({}));
      if (answer.status !== 401 || fresh || !this.#fetchToken) {
        throw new ReddotError(answer.status, problem, retryAfter(answer.headers.get("retry-after")));
      }
      this.forget();
    }
  }

  /**
   * The same for what may be repeated: again after a while if there was no answer, or a "later".
   *
   * @param {string} method
   * @param {string} path
   * @param {unknown} body
   */
  async insist(method, path, body) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.call(method, path, body);
      } catch (error) {
        const { final, retryMs = 0 } = /** @type {ReddotError} */ (error);
        if (final || attempt + 1 === TRIES) throw error;
        const ms = Math.max(retryMs, backoff(attempt));
        await new Promise((resolve) => setTimeout(resolve, ms));
      }
    }
  }

  /**
   * @param {string} method
   * @param {string | URL} path
   * @param {unknown} body
   */
  async #send(method, path, body) {
    const headers = await this.headers();
    if (body !== undefined) headers["content-type"] = "application/json";
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), ANSWER_MS_MAX);
    try {
      return await fetch(this.url(String(path)), {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        credentials: this.credentials,
        cache: "no-store",
        signal: stop.signal,
      });
    } catch (error) {
      throw new ReddotError(0, { code: "network", detail: String(error) });
    } finally {
      clearTimeout(timer);
    }
  }
}
