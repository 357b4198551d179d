/**
 * What the pages of this folder share: who is here, the badge, a list, and a form that notifies.
 * Nothing here is about transports; each page has its own in thirty lines.
 */

export const user = new URLSearchParams(location.search).get("user") ?? "10086";
/** What every page listens to, besides what is for its user. */
export const TOPIC = "demo/%23";
export const address = (path, cursor, ticket = "") =>
  `/v1/${path}?topic=${TOPIC}&ticket=${ticket}${cursor ? `&cursor=${cursor}` : ""}`;

const made = (tag, fields) => Object.assign(document.createElement(tag), fields);
const [badge, status, messages] = [
  made("span", { id: "badge", hidden: true }),
  made("span", { id: "state", role: "status", textContent: "connecting" }),
  made("ol", { id: "messages" }),
];

async function post(path, body, headers = {}) {
  const answer = await fetch(path, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });
  if (answer.status === 401) location.reload(); // A development server forgets its secret at the end.
  return answer.json();
}

// In production your own server gives the page its token.
const { token } = await post("/v1/dev/token", { user });
export const bearer = { authorization: `Bearer ${token}` };

/** For what cannot set header fields: admits one connection, within 30 s. */
export const fetchTicket = async () => (await post("/v1/tickets", {}, bearer)).ticket;

export function state(word) {
  if (status.textContent !== word) status.textContent = word;
}

/** A badge of the server's; of two the one with the greater `as_of` is right. */
let shown = { as_of: -1 };
function showBadge(next) {
  if (!next || next.as_of <= shown.as_of) return;
  shown = next;
  badge.textContent = next.unread;
  badge.hidden = next.unread === 0;
  document.title = document.title.replace(/^(\(\d+\) )?/, next.unread ? `(${next.unread}) ` : "");
}

/** Show a frame, whichever way it came. Text only: what others wrote is never HTML. */
export function show({ type, topic, data, badge: told, ...rest }) {
  state("live");
  showBadge(type === "badge" ? rest : told);
  if (type === "gap") messages.prepend(made("li", { textContent: `Something is missing on ${topic}: load it anew.` }));
  if (type !== "publication") return;
  messages.prepend(made("li", { textContent: data?.title ?? JSON.stringify(data) }));
}

/** Show the answer of a poll as if a stream had brought it; returns the new cursor. */
export function showAnswer({ cursor, gaps = [], publications, badge: told }) {
  for (const gap of gaps) show({ ...gap, type: "gap" });
  for (const publication of publications) show({ ...publication, type: "publication" });
  show({ type: "sync", badge: told });
  return cursor;
}

const title = made("input", { value: "Hello", ariaLabel: "Message" });
const to = made("select", { ariaLabel: "To" });
for (const [value, label] of [["me", `to ${user}`], ["everyone", "to everyone"], ["topic", "to the topic demo/chat"]]) to.add(new Option(label, value));
const form = made("form", { id: "send" });
const read = made("button", { type: "button", textContent: "Mark all read" });
form.append(title, to, made("button", { textContent: "Send" }), read);
form.onsubmit = (event) => {
  event.preventDefault();
  if (to.value === "topic") return void post("/v1/publish", { topic: "demo/chat", data: { title: title.value } });
  post("/v1/notifications", { to: to.value === "me" ? { users: [user] } : { everyone: true }, title: title.value });
};
read.onclick = async () => {
  const { cursor } = await (await fetch("/v1/inbox?limit=1", { headers: bearer })).json();
  showBadge(await post("/v1/inbox/mark", { upto: cursor, as: "read" }, bearer));
};

const head = made("p", {});
head.append("Unread messages ", badge, " · ", status);
const nav = made("nav", { ariaLabel: "Transports" });
for (const name of ["short_poll", "long_poll", "iframe", "sse", "mqtt", "websocket"]) {
  nav.append(made("a", { href: `${name}.html${location.search}`, textContent: name.replace("_", " ") }));
}
document.body.prepend(nav);
document.body.append(head, form, messages);
