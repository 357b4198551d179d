/** Load the inside of `<red-dot-inbox>`; a bundler makes a file of its own of it. */

export const load = () => import("./inside/index.js");
