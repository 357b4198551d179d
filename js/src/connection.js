/** One connection over one transport: watches over its silence, and counts what proves it. */

/**
 * @typedef {import("./frames.js").Frame} Frame
 * @typedef {import("./transports/face.js").Transport} Transport
 * @typedef {import("./transports/face.js").Request} Request
 * @typedef {import("./transports/face.js").End} End
 * @typedef {import("./transports/face.js").Open} Open
 */

// Every stream says `sync` at once; what says nothing for so long will not.
const FIRST_FRAME_MS = 10_000;

export class Connection {
  frames = 0;
  /** When the last frame came, in milliseconds of the wall. */
  heardAt = 0;
  #report;
  #closed = false;
  /** @type {Open | undefined} */
  #open;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #watchdog;

  /**
   * @param {Transport} transport
   * @param {(connection: Connection, frame: Frame | undefined, end: End | undefined) => void} report
   *   gets each frame, then the end; nothing after `close`
   */
  constructor(transport, report) {
    this.transport = transport;
    this.#report = report;
  }

  /**
   * @param {(transport: Transport) => Promise<Request>} prepare may fetch a credential; rejects
   *   with an `End`
   */
  async open(prepare) {
    this.#watch(FIRST_FRAME_MS);
    try {
      const request = await prepare(this.transport);
      if (this.#closed) return;
      this.#open = this.transport.open(request, {
        frame: (frame) => this.#frame(frame),
        end: (end) => this.#end(end),
      });
      if (this.#closed) this.#open.close();
    } catch (error) {
      this.#end(error);
    }
  }

  /**
   * Send a command; false if the transport goes one way only.
   *
   * @param {object} command
   */
  send(command) {
    this.#open?.send?.(command);
    return !!this.#open?.send;
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#watchdog);
    this.#open?.close();
  }

  /** @param {Frame} frame */
  #frame(frame) {
    if (this.#closed) return;
    this.frames += 1;
    this.heardAt = Date.now();
    this.#watch(this.transport.silenceMs);
    this.#report(this, frame, undefined);
  }

  /** @param {unknown} why an `End`, or what was thrown */
  #end(why) {
    if (this.#closed) return;
    this.close();
    const end = /** @type {End | undefined} */ (why);
    this.#report(this, undefined, end?.reason ? end : { reason: String(why) });
  }

  /** @param {number} ms */
  #watch(ms) {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#end({ reason: "silent" }), ms);
  }
}
