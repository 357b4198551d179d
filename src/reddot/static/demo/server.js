/** Where the server is and what the page asks of it. Addresses work below any path prefix. */

/** What every panel is subscribed to: the topic `demo` and all below it. */
export const FILTER = "demo/#";

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

function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return request(path, { method: "POST", headers, body: JSON.stringify(body) });
}

export const fetchNow = async () => (await request("demo/now")).now_ms;
export const fetchCounters = () => request("demo/counters");
export const setRate = (perMinute, size) => post("demo/rate", { per_minute: perMinute, size });
export const cutConnections = () => post("demo/cut", {});
export const restartHub = () => post("demo/restart", {});

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
