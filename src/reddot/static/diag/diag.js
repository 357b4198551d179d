/** The doctor's page: runs the client's own diagnosis and shows it. */

const NAMES = {
  short_poll: "Short polling",
  long_poll: "Long polling",
  iframe: "iframe stream",
  sse: "Server-sent events",
  mqtt: "MQTT over WebSocket",
  websocket: "WebSocket",
};
const COPIED_MS = 1_500;

const byId = (id) => document.getElementById(id);
const made = (tag, text, fields = {}) => Object.assign(document.createElement(tag), { textContent: text, ...fields });

function row([name, { result, ms, why }]) {
  const line = document.createElement("tr");
  const word = made("span", result, { className: "result" });
  word.dataset.result = result;
  const cell = document.createElement("td");
  cell.append(word);
  const head = made("th", NAMES[name] ?? name, { scope: "row" });
  line.append(head, cell, made("td", ms === undefined ? "–" : `${Math.round(ms)} ms`), made("td", why));
  return line;
}

function show({ verdicts, transports, network, text }) {
  const results = Object.values(transports).map(({ result }) => result);
  const good = network.reached && results.every((result) => result === "works");
  document.querySelector(".verdict").dataset.good = String(good);
  byId("verdicts").replaceChildren(...verdicts.map((verdict) => made("li", verdict)));
  byId("transports").replaceChildren(...Object.entries(transports).map(row));
  byId("report").textContent = text;
}

async function run() {
  byId("again").disabled = byId("copy").disabled = true;
  byId("verdicts").replaceChildren(made("li", "Trying …"));
  try {
    const { Client } = await import("../../reddot.js");
    show(await new Client({ server: new URL("../..", import.meta.url).origin }).diagnose());
    byId("copy").disabled = false;
  } catch (error) {
    byId("verdicts").replaceChildren(made("li", `The client could not be loaded: ${error.message}`));
  }
  byId("again").disabled = false;
}

async function copy() {
  const button = byId("copy");
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(byId("report").textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(byId("report"));
    button.textContent = "Selected; press Ctrl+C";
  }
  setTimeout(() => (button.textContent = label), COPIED_MS);
}

byId("again").addEventListener("click", () => void run());
byId("copy").addEventListener("click", () => void copy());
void run();
