/** Load what an inbox and toasts show; a bundler makes a file of its own of it. */

export const load = () => import("./inside/index.js");
