/** The door of the package: the client, with and without inbox, and transports to give it. */

export { ReddotError } from "./api.js";
export { Client } from "./client.js";
export { Reddot } from "./reddot.js";
export { eventsource, iframe, longPoll, shortPoll, sse } from "./transports/fallbacks.js";
export { websocket } from "./transports/websocket.js";
