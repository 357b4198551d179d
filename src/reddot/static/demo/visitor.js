/** Who looks at this page: one person per browser, with a token and tickets as any user has them. */

import * as server from "./server.js";

const KEY = "reddot-demo-visitor";
/** What a group sends to: the visitor follows it. */
export const GROUP = "demo/club";

function remembered() {
  try {
    const known = localStorage.getItem(KEY) ?? `visitor-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
    localStorage.setItem(KEY, known);
    return known;
  } catch {
    return "visitor"; // Storage is forbidden: then all such browsers are one person.
  }
}

export class Visitor {
  name = remembered();
  #token;

  /** The token; asked for once, until it is forgotten or could not be had. */
  token() {
    this.#token ??= this.#begin();
    this.#token.catch(() => (this.#token = undefined));
    return this.#token;
  }

  async #begin() {
    const { token } = await server.fetchToken(this.name);
    await server.follow(GROUP, token);
    return token;
  }

  /** What admits one connection that cannot set header fields. */
  async ticket() {
    return (await server.fetchTicket(await this.token())).ticket;
  }
}
