/** What a diagnosis comes to, in sentences and as text. Pure. */

/**
 * @typedef {import("./diagnose.js").Report} Report
 * @typedef {import("./diagnose.js").Result} Result
 * @typedef {import("./diagnose.js").Patient} Patient
 */

/** @param {number} ms */
export const round = (ms) => `${Math.round(ms)} ms`;

/**
 * @param {Report} report
 * @returns {string[]}
 */
export function judge({ server, network, transports, client }) {
  if (!network.reached) return [`${server} cannot be used from here: ${network.why}.`];
  const named = (/** @type {Result} */ result) => Object.keys(transports).filter((name) => transports[name].result === result);
  const verdicts = [];
  const [blocked, held] = [named("blocked"), named("held back")];
  if (!blocked.length && !held.length) verdicts.push("Every transport works from here.");
  if (held.length) {
    verdicts.push(`Something on the way holds back ${held.join(" and ")} until it has much, or the end (nginx: proxy_buffering off).`);
  }
  if (blocked.includes("websocket")) {
    verdicts.push("WebSocket upgrades do not get through (nginx: proxy_http_version 1.1, and the fields Upgrade and Connection).");
  }
  const others = blocked.filter((name) => name !== "websocket" && !(name === "mqtt" && blocked.includes("websocket")));
  if (others.length) verdicts.push(`Blocked: ${others.join(", ")}.`);
  if (named("busy").length) verdicts.push("The server had no room for all probes; ask again.");
  if (network.encoding) verdicts.push(`A proxy compresses answers (${network.encoding}); streams must not be.`);
  for (const [name, { what, reason }] of lastOf(client.trail)) {
    if (what === "failed" || what === "demoted") verdicts.push(`The client has ${what === "failed" ? "failed with" : "demoted"} ${name}: ${reason}.`);
  }
  return verdicts;
}

/** The latest note about each transport that says how it went. @param {Patient["trail"]} trail */
function lastOf(trail) {
  return new Map(trail.filter(({ what }) => what !== "trying").map((note) => [note.transport, note]));
}

/**
 * All of it as text, to be copied.
 *
 * @param {Report} report
 */
export function write({ server, page, at, browser, network, seen, cookies, transports, client, verdicts }) {
  const row = (/** @type {string} */ name, /** @type {unknown[]} */ ...parts) => `${name.padEnd(12)}${parts.filter(Boolean).join(", ")}`;
  const fields = Object.entries(seen?.headers ?? {}).map(([name, value]) => `${name}: ${value}`);
  return [
    "Reddot transport report",
    row("server", server),
    row("page", page === server ? `${page} (the same origin)` : page),
    row("time", at),
    row("browser", browser),
    row("network", network.online ? "online" : "offline", network.reached ? network.protocol : network.why, network.latencyMs !== undefined && `${round(network.latencyMs)} for an answer`),
    row("on the way", network.encoding && `compressed: ${network.encoding}`, network.via && `via ${network.via}`, !network.encoding && !network.via && "no sign of proxies in answers"),
    row("server saw", ...(seen ? [`HTTP ${seen.http_version}`, ...fields] : ["nothing"])),
    row("cookies", cookies.enabled ? "enabled" : "disabled", cookies.sent ? "reddot_token was sent" : "reddot_token was not sent"),
    "",
    ...Object.entries(transports).map(([name, { result, ms, why }]) => row(name, result, ms !== undefined && round(ms), why)),
    "",
    ...verdicts,
    "",
    row("client", client.state, client.transport && `over ${client.transport}`, client.reason),
    ...client.trail.map(({ at: when, transport, what, reason }) => `  ${new Date(when).toISOString().slice(11, 23)} ${[transport, what, reason].filter(Boolean).join(" ")}`),
  ].join("\n");
}
