/** The latest frames of one chosen panel, newest first. */

import { formatMs } from "./format.js";

const LINES = 40;
const TEXT_MAX = 160;

function span(className, text) {
  return Object.assign(document.createElement("span"), { className, textContent: text });
}

/** What is worth reading of a frame, in one line. */
function gist(frame) {
  if (frame.type !== "publication") {
    const { type, ...rest } = frame;
    return JSON.stringify(rest);
  }
  const place = frame.offset ? ` #${frame.offset}` : " ephemeral";
  return `${frame.topic}${place} ${frame.event} ${JSON.stringify(frame.data)}`;
}

function makeLine({ at, frame, delay }) {
  const line = document.createElement("li");
  line.dataset.type = frame.type;
  const text = gist(frame);
  line.append(
    span("log-time", new Date(at).toISOString().slice(11, 23)),
    span("log-type", frame.type),
    span("log-delay", delay === undefined ? "" : `${formatMs(delay)} ms`),
    span("log-text", text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)} …` : text),
  );
  return line;
}

export class FrameLog {
  #list;
  #select;
  #hold;
  #readers;
  #newest;

  constructor({ list, select, hold }, readers) {
    this.#list = list;
    this.#select = select;
    this.#hold = hold;
    this.#readers = readers;
    for (const [key, reader] of Object.entries(readers)) select.add(new Option(reader.name, key));
    select.value = "websocket";
    select.addEventListener("change", () => this.#show());
  }

  /** Draw if there is anything new and nobody holds the list to read it. */
  draw() {
    const [newest] = this.#readers[this.#select.value].frames;
    if (!this.#hold.checked && newest !== this.#newest) this.#show();
  }

  #show() {
    const { frames } = this.#readers[this.#select.value];
    this.#newest = frames[0];
    this.#list.replaceChildren(...frames.slice(0, LINES).map(makeLine));
  }
}
