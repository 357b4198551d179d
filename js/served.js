/** In place of `src/element/load.js` in the file that is served: the inside is a file beside it. */

import * as parts from "./src/element/parts.js";

/** The digest of that file. @type {string} */
const digest = REDDOT_INBOX;
/** @type {Promise<typeof import("./src/element/inside/index.js")> | undefined} */
let loading;

export const load = () =>
  (loading ??= fetched().catch((error) => {
    loading = undefined;
    throw error;
  }));

async function fetched() {
  const url = new URL(`reddot-inbox.js?v=${encodeURIComponent(digest)}`, import.meta.url).href;
  // Fetched first, and then taken from the cache: that an import has failed, browsers remember.
  await fetch(url, { integrity: digest });
  const { default: open } = await import(url);
  return new Promise((give) => open(parts, give));
}
