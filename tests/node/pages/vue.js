/** A bell in Vue 3, without a wrapper: attributes, properties that are no strings, events. */

import { createApp, h, ref } from "vue";
import { server, token, words } from "./shared.js";

const count = ref(-1);
const max = ref(99);

createApp({
  render: () => [
    h("red-dot", { server, token, strings: words, max: max.value, "onRed-dot-count": ({ detail }) => (count.value = detail.count) }),
    h("output", count.value),
    h("button", { id: "less", onClick: () => (max.value = 1) }, "Less"),
  ],
}).mount("#app");
