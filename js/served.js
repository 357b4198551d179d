/** In place of `load.js` of elements and of Web Push in the file that is served: they are beside it. */

import * as parts from "./src/element/parts.js";

/** @type {Promise<typeof import("./src/element/inside/index.js")> | undefined} */
let loading;

export const load = () =>
  (loading ??= opened().catch((error) => {
    loading = undefined;
    throw error;
  }));

/** @returns {Promise<typeof import("./src/push/index.js")>} */
export const loadPush = () => beside("push", REDDOT_PUSH);

async function opened() {
  const { default: open } = await beside("inbox", REDDOT_INBOX);
  return new Promise((give) => open(parts, give));
}

/**
 * @param {string} name
 * @param {string} digest of the file with this name
 */
async function beside(name, digest) {
  const url = new URL(`reddot-${name}.js?v=${encodeURIComponent(digest)}`, import.meta.url).href;
  // Fetched first, and then taken from the cache: that an import has failed, browsers remember.
  await fetch(url, { integrity: digest });
  return import(url);
}
