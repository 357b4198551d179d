/**
 * Keeps one transport connected: states, cursor, watchdog, backoff. Knows no wire.
 *
 *     off → connecting → live → waiting → connecting → …
 *
 * `live` needs data, not an open socket: some browsers report a stream as open long before
 * anything can come through. The backoff starts over only after something followed the first frame.
 */

const BACKOFF_FIRST_MS = 500;
// Thirty seconds is right for a crowd; in front of a reader who waits, four are.
const BACKOFF_MAX_MS = 4_000;
const BACKOFF_MIN_MS = 50;
const SILENCE_HEARTBEATS = 2.5;
// Every stream says `sync` at once, and a frame that could not load says nothing at all.
const FIRST_FRAME_MS = 5_000;

/**
 * @typedef {object} Sink where a transport reports to
 * @property {(frame: object) => void} frame a frame came
 * @property {(reason: string) => void} end the connection is over
 * @property {() => void} request a request was sent
 */

export class Link {
  state = "off";
  /** While `waiting`: why, and until when (`performance.now()`). */
  reason = "";
  retryAt = 0;
  /** When the last frame came (`performance.now()`). */
  heardAt = 0;
  /** Whether a new connection resumes where the old one ended. */
  resumes = true;

  #transport;
  #visitor;
  #hooks;
  #cursor;
  #close = () => {};
  #generation = 0;
  #frames = 0;
  #attempts = 0;
  #timer;
  #watchdog;

  /**
   * @param {{open: Function, heartbeatMs?: number}} transport
   * @param {object} visitor whose messages they are
   * @param {{frame: Function, state: Function, request: Function}} hooks `frame` is called with
   *   the frame and whether the connection it came by had begun without a cursor
   */
  constructor(transport, visitor, hooks) {
    this.#transport = transport;
    this.#visitor = visitor;
    this.#hooks = hooks;
  }

  /** Everything up to here has come. */
  get cursor() {
    return this.#cursor;
  }

  start() {
    if (this.state === "off") this.#open();
  }

  stop() {
    this.#drop();
    this.#become("off");
  }

  /** Connect anew with the cursor; nothing is lost by it. */
  renew() {
    if (this.state === "off") return;
    this.#drop();
    this.#open();
  }

  /** Do not wait any longer: the network is back, or somebody looks at the page again. */
  hurry() {
    if (this.state === "waiting") this.renew();
  }

  #open() {
    const generation = ++this.#generation;
    const current = () => generation === this.#generation;
    const fresh = this.#cursor === undefined;
    this.#frames = 0;
    this.#become("connecting");
    this.#watch();
    const sink = {
      frame: (frame) => current() && this.#frame(frame, fresh),
      end: (reason) => current() && this.#ended(reason),
      request: () => current() && this.#hooks.request(),
    };
    try {
      this.#close = this.#transport.open(this.#cursor, sink, this.#visitor);
    } catch (error) {
      // Firefox throws from the WebSocket constructor where a policy forbids it.
      this.#ended(String(error));
    }
  }

  #frame(frame, fresh) {
    this.heardAt = performance.now();
    this.#frames += 1;
    this.#watch();
    if (this.#frames > 1) this.#attempts = 0;
    if (frame.cursor) this.#cursor = frame.cursor;
    if (this.state !== "live") this.#become("live");
    this.#hooks.frame(frame, fresh);
    if (frame.type === "error") this.#ended(frame.code);
    else if (frame.type === "reconnect") this.#wait(`asked to reconnect (${frame.reason})`, frame.retry_ms);
  }

  #ended(reason) {
    const longest = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.#attempts++);
    this.#wait(reason, Math.max(BACKOFF_MIN_MS, Math.random() * longest));
  }

  #wait(reason, ms) {
    this.#drop();
    if (!this.resumes) this.#cursor = undefined;
    this.reason = reason;
    this.retryAt = performance.now() + ms;
    this.#become("waiting");
    this.#timer = setTimeout(() => this.#open(), ms);
  }

  #drop() {
    this.#generation += 1;
    clearTimeout(this.#timer);
    clearTimeout(this.#watchdog);
    const close = this.#close;
    this.#close = () => {};
    close();
  }

  #watch() {
    clearTimeout(this.#watchdog);
    const { heartbeatMs } = this.#transport;
    if (heartbeatMs === undefined) return;
    const patienceMs = this.#frames ? SILENCE_HEARTBEATS * heartbeatMs : FIRST_FRAME_MS;
    this.#watchdog = setTimeout(() => this.#ended("silent"), patienceMs);
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.#hooks.state(state);
  }
}
