/** In place of `src/later.js` in the file that is served: nothing of the client is loaded later. */

import { joinTabs, userOf } from "./src/tabs.js";
import { openEventSource } from "./src/transports/eventsource.js";
import { openIframe } from "./src/transports/iframe.js";
import { openLongPoll, openShortPoll } from "./src/transports/polling.js";
import { openSse } from "./src/transports/sse.js";

const loaded = { eventsource: openEventSource, iframe: openIframe, long_poll: openLongPoll, short_poll: openShortPoll, sse: openSse };

export const loadTabs = async () => ({ joinTabs, userOf });

/** @type {typeof import("./src/later.js").later} */
export const later = (name, silenceMs, ticket) => ({ name, silenceMs, ticket, open: loaded[name] });
