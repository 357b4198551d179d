/** The door of the package: the client, with and without inbox, and transports to give it. */

export { ReddotError } from "./api.js";
export { Client } from "./client.js";
export { Reddot } from "./reddot.js";
export { eventsource } from "./transports/eventsource.js";
export { iframe } from "./transports/iframe.js";
export { longPoll, shortPoll } from "./transports/polling.js";
export { sse } from "./transports/sse.js";
export { websocket } from "./transports/websocket.js";
