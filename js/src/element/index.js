/** The door to the classes and the texts of the elements, without defining any. */

export { RedDot } from "./bell.js";
export { RedDotInbox } from "./inbox.js";
export { languages } from "./texts.js";
export { RedDotToast } from "./toast.js";
