/** With the attribute `debug`: how it is connected, and why the number is what it is. */

import { claimsOf, h } from "../parts.js";

/** Why the badge is what it is; only for administrators. @param {import("../../reddot.js").Reddot} client */
export async function explain({ api }) {
  const { sub, reddot } = claimsOf(await api.token());
  return reddot?.admin ? JSON.stringify(await api.call("GET", api.url(`users/${sub}/badge/explain`)), null, 1) : "";
}

/**
 * @param {import("../session.js").Session} session
 * @param {string} question
 * @param {string} why
 */
export function footer({ badge, client, connects }, question, why) {
  const facts = [client.state, client.transport, `as_of ${badge?.as_of}`, `reconnects ${connects - 1}`];
  return h("footer", "footer", {}, facts.join(" · "), why && h("details", "", {}, h("summary", "", {}, question), h("pre", "", {}, why)));
}
