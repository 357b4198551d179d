/** All transports but WebSocket: few pages need them. */

import { later } from "../later.js";

const STREAM_SILENCE_MS = 2.5 * 15_000;
const LONGEST_WAIT_MS = 25_000;
const ANSWER_MS_MAX = 15_000;

export const sse = /* @__PURE__ */ later("sse", STREAM_SILENCE_MS);
export const longPoll = /* @__PURE__ */ later("long_poll", LONGEST_WAIT_MS + ANSWER_MS_MAX);
export const shortPoll = /* @__PURE__ */ later("short_poll", ANSWER_MS_MAX);
export const eventsource = /* @__PURE__ */ later("eventsource", STREAM_SILENCE_MS, true);
export const iframe = /* @__PURE__ */ later("iframe", STREAM_SILENCE_MS, true);
