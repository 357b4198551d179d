/** The side effect: after this import the three elements are there. */

import { RedDot } from "./bell.js";
import { RedDotInbox } from "./inbox.js";
import { RedDotToast } from "./toast.js";

const elements = { "red-dot-inbox": RedDotInbox, "red-dot": RedDot, "red-dot-toast": RedDotToast };

for (const [name, element] of Object.entries(elements)) {
  // On a server there is no registry; and two copies of this file may meet on a page.
  if (globalThis.customElements && !customElements.get(name)) customElements.define(name, element);
}
