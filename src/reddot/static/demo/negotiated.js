/**
 * The seventh panel: the real client, and what it decides. The buttons break the network for this
 * panel alone, as proxies do, so that one can watch it demote a transport and climb back.
 */

import { formatCount } from "./format.js";
import { address, FILTER } from "./server.js";
import { Tally } from "./tally.js";

const LINES = 40;
const NAMES = { websocket: "WebSocket", sse: "SSE", long_poll: "Long polling" };
const STATES = { idle: "off", connecting: "connecting", live: "live", waiting: "reconnecting", closed: "off" };
const WORDS = {
  trying: () => "is tried",
  live: () => "is live: its first data has come",
  proved: () => "has proved itself",
  failed: (reason) => `failed: ${reason}`,
  demoted: (reason) => `is demoted: ${reason}, twice in a row; tried last until the network changes, or for five minutes`,
};

function made(tag, className, text) {
  return Object.assign(document.createElement(tag), { className, textContent: text });
}

export class Negotiated {
  #parts;
  #visitor;
  #clock;
  #onBadge;
  #client;
  #generation = 0;
  #tally = new Tally();
  #blocked = false;
  #held = false;
  /** Ends the connections of a kind that are open. */
  #cuts = new Map();

  constructor(parts, visitor, clock, onBadge) {
    this.#parts = parts;
    this.#visitor = visitor;
    this.#clock = clock;
    this.#onBadge = onBadge;
    parts.block.addEventListener("click", () => this.#toggleBlock());
    parts.hold.addEventListener("click", () => this.#toggleHold());
    parts.change.addEventListener("click", () => this.#change());
  }

  async start() {
    const generation = ++this.#generation;
    let reddot;
    try {
      reddot = await import("../reddot.js");
    } catch {
      this.#parts.missing.hidden = false;
      return;
    }
    if (generation !== this.#generation) return;
    const transports = [reddot.websocket, reddot.sse, reddot.longPoll].map((each) => this.#watched(each));
    const server = address("").origin;
    this.#client = new reddot.Reddot({ server, transports, token: () => this.#visitor.token(), shared: false });
    this.#client.on("transport", (note) => this.#note(note));
    this.#client.on("state", (state) => this.#state(state));
    this.#client.on("badge", this.#onBadge);
    this.#client.subscribe(FILTER, (publication) => {
      this.#tally.receive(publication, this.#clock.age(Date.parse(publication.time)));
    });
  }

  stop() {
    this.#generation += 1;
    this.#client?.close();
    this.#client = undefined;
  }

  reset() {
    this.#tally.reset(1);
  }

  draw() {
    const { received, lost, twice } = this.#tally;
    const figures = `${formatCount(received)} received, ${formatCount(lost)} lost, ${formatCount(twice)} twice`;
    if (this.#parts.figures.textContent !== figures) this.#parts.figures.textContent = figures;
  }

  /** A transport with the faults of this panel in its way. */
  #watched(transport) {
    const streams = transport.name === "sse";
    return {
      ...transport,
      open: (request, sink) => {
        // An address that speaks no WebSocket refuses the upgrade as a proxy would.
        const refused = transport.name === "websocket" && this.#blocked;
        const wire = refused ? { ...request, address: () => address("demo/now") } : request;
        const frame = (each) => (streams && this.#held ? undefined : sink.frame(each));
        this.#cuts.set(transport.name, () => sink.end({ reason: "cut" }));
        return transport.open(wire, { frame, end: sink.end });
      },
    };
  }

  #toggleBlock() {
    this.#blocked = !this.#blocked;
    this.#parts.block.setAttribute("aria-pressed", String(this.#blocked));
    this.#say(this.#blocked ? "You block WebSocket, as some proxies do." : "You let WebSocket through again.");
    if (this.#blocked) this.#cuts.get("websocket")?.();
  }

  #toggleHold() {
    this.#held = !this.#held;
    this.#parts.hold.setAttribute("aria-pressed", String(this.#held));
    this.#say(this.#held ? "You hold streams back, as a buffering proxy does." : "You let streams flow again.");
    if (this.#held) this.#cuts.get("sse")?.();
  }

  /** What a browser says after a change of network: the client tries the better ones at once. */
  #change() {
    this.#say("The network changes.");
    dispatchEvent(new Event("online"));
  }

  #state(state) {
    const { transport, reason } = this.#client ?? {};
    this.#parts.panel.dataset.state = state === "closed" || state === "idle" ? "off" : state;
    const over = transport ? ` over ${NAMES[transport]}` : "";
    const words = `${STATES[state]}${over}`;
    if (this.#parts.word.textContent !== words) this.#parts.word.textContent = words;
    if (state === "waiting") this.#say(`Waiting: ${reason}.`);
  }

  #note({ transport, what, reason }) {
    this.#say(` ${WORDS[what](reason)}`, what, NAMES[transport]);
    if (this.#client) this.#state(this.#client.state);
  }

  #say(text, what = "said", name = "") {
    const line = made("li", "", "");
    line.dataset.what = what;
    const words = made("span", "", "");
    words.append(made("b", "", name), text);
    line.append(made("time", "log-time", new Date().toISOString().slice(11, 21)), words);
    this.#parts.timeline.prepend(line);
    while (this.#parts.timeline.children.length > LINES) this.#parts.timeline.lastChild.remove();
  }
}
