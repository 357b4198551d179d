/** What is loaded when it is needed first: what a panel shows, a sound, a dot on the page's icon. */

export { dot } from "./favicon.js";
export { Inside } from "./inside.js";
export { choose } from "./notice.js";
export { beep } from "./sound.js";
export { toasts } from "./toasts.js";
