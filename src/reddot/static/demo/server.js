/** Where the server is and what the page asks of it. Addresses work below any path prefix. */

/** What every panel is subscribed to: the topic `demo` and all below it. */
export const FILTER = "demo/#";

/** Whether the filter selects a topic. */
export const matches = (topic) => topic === "demo" || topic.startsWith("demo/");

const BASE = new URL("v1/", document.baseURI);

/** @returns {URL} the address of a route under `/v1` */
export function address(path, query = {}) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url;
}

async function request(path, options) {
  const answer = await fetch(address(path), { cache: "no-store", ...options });
  if (!answer.ok) throw new Error(`${path}: HTTP ${answer.status}`);
  return answer.json();
}

const bearer = (token) => (token ? { Authorization: `Bearer ${token}` } : {});

function post(path, body, token) {
  const headers = { "Content-Type": "application/json", ...bearer(token) };
  return request(path, { method: "POST", headers, body: JSON.stringify(body) });
}

export const fetchNow = async () => (await request("demo/now")).now_ms;
export const fetchCounters = () => request("demo/counters");
export const setRate = (perMinute, size) => post("demo/rate", { per_minute: perMinute, size });
export const cutConnections = () => post("demo/cut", {});
export const restartHub = () => post("demo/restart", {});
export const fetchToken = (user) => post("dev/token", { user });
export const fetchTicket = (token) => post("tickets", {}, token);
export const notify = (notification) => post("notifications", notification);
export const follow = (topic, token) => request(`follows/${topic}`, { method: "PUT", headers: bearer(token) });

/** Publish as any client would. @returns {Promise<{status: number, ms: number, body: unknown}>} */
export async function publish(text) {
  const asked = performance.now();
  const answer = await fetch(address("publish"), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: text,
  });
  const body = await answer.text();
  return { status: answer.status, ms: performance.now() - asked, body: body && JSON.parse(body) };
}
