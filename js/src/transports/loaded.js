/** The code of `fallbacks.js`, by the names of transports. */

export { openEventSource as eventsource } from "./eventsource.js";
export { openIframe as iframe } from "./iframe.js";
export { openLongPoll as long_poll, openShortPoll as short_poll } from "./polling.js";
export { openSse as sse } from "./sse.js";
