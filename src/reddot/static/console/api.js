/**
 * Asking the server. Each request says that it is the console's, which is what makes its cookie
 * count; no form and no other page can say so.
 */

const ROOT = new URL(".", document.baseURI);
const TIMEOUT_MS = 10_000;

/** The server has refused, and says why. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `HTTP ${status}`);
    this.status = status;
    this.code = problem.code ?? "";
  }
}

/** The server has not answered. */
export class Unreachable extends Error {
  constructor() {
    super("The server does not answer.");
  }
}

export class Api {
  /** @param {() => void} signedOut called when the session is not good any more */
  constructor(signedOut) {
    this.signedOut = signedOut;
  }

  get(path, query = {}) {
    const given = Object.entries(query).filter(([, value]) => value !== "" && value != null);
    const search = new URLSearchParams(given).toString();
    return this.ask("GET", search ? `${path}?${search}` : path);
  }

  post(path, body) {
    return this.ask("POST", path, body);
  }

  delete(path) {
    return this.ask("DELETE", path);
  }

  async ask(method, path, body) {
    const { status, content } = await this.exchange(method, path, body, { "Reddot-Console": "1" });
    if (status < 400) return content;
    if (status === 401) this.signedOut();
    throw new Refused(status, content ?? {});
  }

  /** Sign in: without a session, so without the header that speaks of one. */
  async signIn(wanted) {
    const { status, content } = await this.exchange("POST", "v1/console/session", wanted, {});
    if (status >= 400) throw new Refused(status, content ?? {});
    return content;
  }

  /** Returns the answer's status and JSON, whatever they say. */
  async exchange(method, path, body, headers) {
    const sent = body === undefined ? {} : { "Content-Type": "application/json" };
    try {
      const answer = await fetch(new URL(path, ROOT), {
        method,
        headers: { ...headers, ...sent },
        body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
        cache: "no-store",
        credentials: "same-origin",
        redirect: "error",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const text = await answer.text();
      return { status: answer.status, content: text ? JSON.parse(text) : null };
    } catch {
      throw new Unreachable();
    }
  }
}

/** A part of an address: what is between two slashes. */
export function part(text) {
  return encodeURIComponent(text);
}

/** The rest of an address, with the slashes of a topic. */
export function rest(text) {
  return text.split("/").map(encodeURIComponent).join("/");
}
