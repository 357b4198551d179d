/**
 * What is loaded when it is needed uses of what is there before: it imports from here alone,
 * so that the two served files have nothing twice.
 */

export { claimsOf } from "../api.js";
export { Inbox } from "../inbox.js";
export { BELL, CLOSE, header, icon, tool, waiting } from "./pieces.js";
export { h } from "./render.js";
export { isMuted, isOn } from "./session.js";
export { languages } from "./texts.js";
