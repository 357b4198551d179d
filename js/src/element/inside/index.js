/** What is loaded when it is needed first: what a panel shows, a sound, a dot on the page's icon. */

export { draw } from "./draw.js";
export { Inside } from "./inside.js";
export { beep } from "./sound.js";
