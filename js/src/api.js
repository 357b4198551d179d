/** Requests to the server with the credential of the moment; errors of its table as exceptions. */

import { backoff, pause, retryMsOf } from "./backoff.js";

const ANSWER_MS_MAX = 15_000;

/** What the server has refused, or that there was no answer. It is a connection's `End` as well. */
export class ReddotError extends Error {
  name = "ReddotError";

  /**
   * @param {number} status of HTTP; 0: there was no answer
   * @param {{code?: string, detail?: string, title?: string, retry?: boolean}} problem
   * @param {number} [retryMs] how long the server asks to wait
   */
  constructor(status, { code = `HTTP ${status}`, detail, title, retry }, retryMs) {
    super(detail || title || code);
    this.status = status;
    /** Of the server's error table. */
    this.code = this.reason = code;
    /** Whether it is of no use to ask the same again. */
    this.final = retry === false;
    this.retryMs = retryMs;
  }
}

/**
 * Ask, and get an answer that is one: 304, or of the 200s.
 *
 * @param {string | URL} url
 * @param {RequestInit} init
 * @returns {Promise<Response>}
 * @throws {ReddotError}
 */
export async function ask(url, init) {
  const answer = await fetch(url, { cache: "no-store", ...init }).catch((error) => {
    throw new ReddotError(0, { code: "network", detail: String(error) });
  });
  if (answer.ok || answer.status === 304) return answer;
  const problem = await answer.json().catch(() => ({}));
  throw new ReddotError(answer.status, problem, retryMsOf(answer));
}

/** An id that nobody else has. */
export const randomId = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

/**
 * What a JWT claims; the server checks it, this is for telling people apart.
 *
 * @param {string | null | undefined} token
 * @returns {{sub?: string, reddot?: {admin?: boolean}}}
 */
export function claimsOf(token) {
  try {
    const payload = /** @type {string} */ (token).split(".")[1];
    return JSON.parse(atob(payload.replace(/-/g, "+").replace(/_/g, "/"))) ?? {};
  } catch {
    return {};
  }
}

/** @typedef {ReturnType<typeof makeApi>} Api */

/**
 * @param {string} server
 * @param {(() => Promise<string | null | undefined> | string | null | undefined) | undefined} fetchToken
 * @param {RequestCredentials | undefined} credentials
 */
export function makeApi(server, fetchToken, credentials) {
  /** @type {Promise<string | null | undefined> | undefined} */
  let token;

  const api = {
    /**
     * @param {string} path below `/v1/`
     * @param {Record<string, unknown>} [parameters] without those that are undefined
     * @param {string[]} [filters]
     */
    url(path, parameters = {}, filters = []) {
      const url = new URL(`/v1/${path}`, server);
      for (const filter of filters) url.searchParams.append("topic", filter);
      for (const [name, value] of Object.entries(parameters)) {
        if (value !== undefined) url.searchParams.set(name, String(value));
      }
      return url;
    },

    /** The token; asked for once, until it is forgotten or could not be had. */
    token() {
      token ??= (async () => fetchToken?.())();
      token.catch(api.forget);
      return token;
    },

    forget() {
      token = undefined;
    },

    /** What a request carries. @returns {Promise<{headers: Record<string, string>, credentials?: RequestCredentials}>} */
    async init() {
      const bearer = await api.token();
      return { headers: bearer ? { authorization: `Bearer ${bearer}` } : {}, credentials };
    },

    /**
     * Ask for JSON, and once more with a fresh token if this one is refused.
     *
     * @param {string} method
     * @param {URL} url
     * @param {unknown} [body] as JSON
     * @param {number} [tries] of what may be repeated when there is no answer, or a "later"
     * @param {RequestInit} [more] of the request
     * @returns {Promise<any>} the answer; nothing for "nothing new"
     * @throws {ReddotError}
     */
    async call(method, url, body, tries = 1, more) {
      let fresh = !fetchToken;
      for (let attempt = 0; ; ) {
        try {
          const init = await api.init();
          if (body) init.headers["content-type"] = "application/json";
          const answer = await ask(url, { method, ...init, signal: AbortSignal.timeout(ANSWER_MS_MAX), body: body ? JSON.stringify(body) : undefined, ...more });
          return answer.status === 304 ? undefined : await answer.json();
        } catch (error) {
          const { status, final, retryMs = 0 } = /** @type {ReddotError} */ (error);
          if (status === 401 && !fresh) {
            fresh = true;
            api.forget();
          } else if (final || (attempt += 1) >= tries) {
            throw error;
          } else {
            await pause(Math.max(retryMs, backoff(attempt)));
          }
        }
      }
    },
  };
  return api;
}
