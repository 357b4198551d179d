/** Load Web Push; a bundler makes a file of its own of it. */

export const loadPush = () => import("./index.js");
