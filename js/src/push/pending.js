/**
 * What was clicked in a notification and is not marked yet: kept where both the service worker,
 * which has no credential, and the next page of the same person can reach it.
 */

const NAME = "reddot-push";
const PREFIX = "/reddot-push/";
const USER = `${PREFIX}user`;
const READ = `${PREFIX}read/`;
const PENDING_MAX = 100;

const open = () => caches.open(NAME);

/** Whose notifications this browser shows. @param {string} user */
export async function setUser(user) {
  await (await open()).put(USER, new Response(user));
}

/** Somebody logs out: forget who it was, and all they have clicked. */
export async function forget() {
  await caches.delete(NAME);
}

/** Ids of what is to be marked as read, oldest first. @param {Cache} cache */
async function keys(cache) {
  const paths = (await cache.keys()).map(({ url }) => new URL(url).pathname);
  return paths.filter((path) => path.startsWith(READ));
}

/** The person whose notifications are shown has read one. @param {string} id */
export async function addRead(id) {
  const cache = await open();
  const user = await (await cache.match(USER))?.text();
  if (user === undefined) return;
  for (const path of (await keys(cache)).slice(0, 1 - PENDING_MAX)) await cache.delete(path);
  await cache.put(READ + encodeURIComponent(id), new Response(user));
}

/**
 * Do what is pending for a person; what cannot be done now stays.
 *
 * @param {string} user
 * @param {(ids: string[]) => Promise<unknown>} mark
 */
export async function flush(user, mark) {
  const cache = await open();
  const mine = [];
  for (const path of await keys(cache)) {
    if ((await (await cache.match(path))?.text()) === user) mine.push(path);
  }
  if (!mine.length) return;
  await mark(mine.map((path) => decodeURIComponent(path.slice(READ.length))));
  for (const path of mine) await cache.delete(path);
}
