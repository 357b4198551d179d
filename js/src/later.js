/**
 * What a page can do without at first. A bundler makes files of their own of it, which are loaded
 * when their turn comes, or somebody is connected; in the file that is served it is there at once.
 */

import { run } from "./transports/face.js";

/** @typedef {import("./transports/face.js").Transport} Transport */

const loadTransports = () => import("./transports/loaded.js");

/** One connection for all tabs of somebody who is signed in. */
export const loadTabs = () => import("./tabs.js");

/**
 * A transport whose code is loaded.
 *
 * @param {keyof typeof import("./transports/loaded.js")} name
 * @param {number} silenceMs
 * @param {boolean} [ticket]
 * @returns {Transport}
 */
export const later = (name, silenceMs, ticket) => ({
  name,
  silenceMs,
  ticket,
  load: loadTransports,
  open: (request, sink) =>
    run(sink, async (signal) => {
      const { [name]: open } = await loadTransports();
      signal.throwIfAborted();
      signal.onabort = open(request, sink).close;
      // It says by itself when it is over.
      return new Promise(() => {});
    }),
});
