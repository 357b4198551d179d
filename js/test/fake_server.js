/**
 * A server in this process, behind the browser's own names: `fetch` and `WebSocket`. It keeps a
 * log, resumes from cursors, and can be blocked, cut and stopped.
 */

import { matches } from "../src/topics.js";

/**
 * @typedef {{filters: string[], write: (frame: object) => void, end: (reason?: string) => void}} Stream
 * @typedef {"refuse" | "hang" | "busy" | undefined} Fault
 */

export class FakeServer {
  epoch = "e1";
  /** @type {{position: number, retain: boolean, frame: any}[]} */
  log = [];
  /** @type {Set<Stream>} */
  streams = new Set();
  /** @type {Record<string, Fault>} by transport */
  faults = {};
  down = false;
  /** @type {number | undefined} what it says in its first frame */
  spreadMs;
  /** @type {string | undefined} the only good token */
  token;
  tickets = 0;
  /** @type {string[]} requests in order: transport or path */
  requests = [];
  /** @type {(path: string, init: RequestInit) => Response | undefined} answers what is not streams */
  answer = () => undefined;

  /** Put it in place of the network. */
  install() {
    const server = this;
    Object.assign(globalThis, {
      /** @type {typeof fetch} */
      fetch: (url, init) => server.#fetch(new URL(String(url)), init ?? {}),
      WebSocket: class extends FakeSocket {
        /** @param {URL} url */
        constructor(url) {
          super();
          server.#websocket(this, new URL(url));
        }
      },
    });
    return this;
  }

  get cursor() {
    return `${this.epoch}.${this.log.length}`;
  }

  /**
   * @param {string} topic
   * @param {unknown} data
   * @param {{retain?: boolean}} [options]
   */
  publish(topic, data, { retain = false } = {}) {
    const offset = this.log.filter(({ frame }) => frame.topic === topic).length + 1;
    const position = this.log.length + 1;
    const frame = { type: "publication", cursor: `${this.epoch}.${position}`, topic, id: `${position}`, offset, event: "message", time: "", data };
    this.log.push({ position, retain, frame });
    for (const stream of [...this.streams]) {
      if (stream.filters.some((filter) => matches(filter, topic))) stream.write(frame);
    }
  }

  /** End every stream. @param {string} [reason] of a WebSocket's close */
  cut(reason) {
    for (const stream of [...this.streams]) stream.end(reason);
  }

  /** Write a frame to every stream. @param {object} frame */
  say(frame) {
    for (const stream of [...this.streams]) stream.write(frame);
  }

  /** Another log, which begins anew. */
  replace() {
    this.epoch = "e2";
    this.log = [];
  }

  /**
   * The frames that a stream begins with.
   *
   * @param {string[]} filters
   * @param {string | null | undefined} cursor
   */
  #beginning(filters, cursor) {
    const hit = (/** @type {any} */ one) => filters.some((filter) => matches(filter, one.frame.topic));
    const [epoch, position] = cursor?.split(".") ?? [];
    const foreign = !!cursor && epoch !== this.epoch;
    const gaps = foreign ? filters.map((topic) => ({ topic, reason: "epoch" })) : [];
    const since = cursor && !foreign ? Number(position) : this.log.length;
    const missed = this.log.filter((one) => hit(one) && (one.position > since || (!cursor && one.retain)));
    return { sync: { type: "sync", cursor: `${this.epoch}.${since}`, complete: !foreign, gaps, spread_ms: this.spreadMs }, missed: missed.map(({ frame }) => frame), gaps };
  }

  /**
   * @param {FakeSocket} socket
   * @param {URL} url
   */
  #websocket(socket, url) {
    this.requests.push("websocket");
    const fault = this.down ? "refuse" : this.faults.websocket;
    if (fault === "hang") return;
    setImmediate(() => {
      if (fault) return socket.onclose?.({ code: 1006, reason: "" });
      this.#accept(socket, url);
    });
  }

  /**
   * @param {FakeSocket} socket
   * @param {URL} url
   */
  #accept(socket, url) {
    const write = (/** @type {object} */ frame) => socket.onmessage?.({ data: JSON.stringify(frame) });
    const stream = {
      filters: url.searchParams.getAll("topic"),
      write,
      end: (reason = "") => (this.streams.delete(stream), socket.onclose?.({ code: 1006, reason })),
    };
    socket.readyState = 1;
    socket.close = () => void this.streams.delete(stream);
    socket.send = (text) => this.#command(stream, JSON.parse(text));
    const { sync, missed } = this.#beginning(stream.filters, url.searchParams.get("cursor"));
    this.streams.add(stream);
    [sync, ...missed].forEach(write);
  }

  /**
   * @param {Stream} stream
   * @param {any} command
   */
  #command(stream, { type, filters = [], cursor, ref }) {
    this.requests.push(type);
    if (type === "subscribe") {
      const { missed } = this.#beginning(filters, cursor);
      stream.filters.push(...filters);
      missed.forEach(stream.write);
    } else if (type === "unsubscribe") {
      stream.filters = stream.filters.filter((one) => !filters.includes(one));
    }
    stream.write({ type: "ok", ref });
  }

  /**
   * @param {URL} url
   * @param {RequestInit} init
   * @returns {Promise<Response>}
   */
  async #fetch(url, init) {
    const path = url.pathname.replace("/v1/", "");
    this.requests.push(path);
    const fault = this.down ? "refuse" : this.faults[path];
    if (fault === "refuse") throw new TypeError("network");
    if (fault === "hang") return new Promise((_, reject) => init.signal?.addEventListener("abort", () => reject(new Error("aborted"))));
    if (fault === "busy") return Response.json({ code: "overloaded" }, { status: 503, headers: { "retry-after": "7" } });
    const headers = new Headers(init.headers);
    if (this.token && headers.get("authorization") !== `Bearer ${this.token}` && !url.searchParams.has("ticket")) {
      return Response.json({ code: "unauthorized", retry: false }, { status: 401 });
    }
    if (path === "tickets") return Response.json({ ticket: `t${(this.tickets += 1)}` });
    const filters = url.searchParams.getAll("topic");
    if (path === "sse") return this.#sse(filters, url.searchParams.get("cursor"), init);
    if (path === "poll" || path === "longpoll") {
      return this.#poll(filters, headers.get("if-none-match"), Number(url.searchParams.get("wait") ?? 0), init);
    }
    return this.answer(`${path}${url.search}`, init) ?? Response.json({ code: "not_found", retry: false }, { status: 404 });
  }

  /**
   * @param {string[]} filters
   * @param {string | null} cursor
   * @param {RequestInit} init
   */
  #sse(filters, cursor, init) {
    const encoder = new TextEncoder();
    const body = new ReadableStream({
      start: (controller) => {
        const write = (/** @type {any} */ frame) => {
          const id = frame.cursor ? `id: ${frame.cursor}\n` : "";
          controller.enqueue(encoder.encode(`event: ${frame.type}\n${id}data: ${JSON.stringify(frame)}\n\n`));
        };
        const stream = { filters, write, end: () => this.streams.delete(stream) && controller.close() };
        init.signal?.addEventListener("abort", () => this.streams.delete(stream) && controller.error(new Error("aborted")));
        const { sync, missed } = this.#beginning(filters, cursor);
        this.streams.add(stream);
        [sync, ...missed].forEach(write);
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }

  /**
   * @param {string[]} filters
   * @param {string | null} etag
   * @param {number} wait
   * @param {RequestInit} init
   * @returns {Promise<Response>}
   */
  #poll(filters, etag, wait, init) {
    const cursor = etag?.replaceAll('"', "");
    const { missed, gaps } = this.#beginning(filters, cursor);
    const answer = (/** @type {any[]} */ publications) =>
      publications.length || gaps.length || !cursor
        ? Response.json({ cursor: this.cursor, complete: !gaps.length, gaps, publications })
        : new Response(null, { status: 304, headers: { etag: `"${this.cursor}"` } });
    if (!wait || missed.length || gaps.length) return Promise.resolve(answer(missed));
    return new Promise((resolve, reject) => {
      const done = (/** @type {any[]} */ publications) => (this.streams.delete(stream), clearTimeout(timer), resolve(answer(publications)));
      const stream = { filters, write: (/** @type {any} */ frame) => done([frame]), end: () => (this.streams.delete(stream), reject(new TypeError("cut"))) };
      const timer = setTimeout(() => done([]), wait * 1000);
      init.signal?.addEventListener("abort", () => stream.end());
      this.streams.add(stream);
    });
  }
}

class FakeSocket {
  readyState = 0;
  /** @type {((event: {data: string}) => void) | null} */
  onmessage = null;
  /** @type {((event: {code: number, reason: string}) => void) | null} */
  onclose = null;
  close() {}
  /** @param {string} _text */
  send(_text) {}
}
