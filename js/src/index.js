/** The door of the package: the client, and the transports that it may be given. */

export { ReddotError } from "./api.js";
export { Reddot } from "./client.js";
export { eventsource } from "./transports/eventsource.js";
export { iframe } from "./transports/iframe.js";
export { longPoll, shortPoll } from "./transports/polling.js";
export { sse } from "./transports/sse.js";
export { websocket } from "./transports/websocket.js";
