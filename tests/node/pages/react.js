/** A bell in React 19, without a wrapper: attributes, properties that are no strings, events. */

import { createElement as h, useState } from "react";
import { createRoot } from "react-dom/client";
import { server, token, words } from "./shared.js";

function Page() {
  const [count, setCount] = useState(-1);
  const [max, setMax] = useState(99);
  const props = { server, token, strings: words, max, "onred-dot-count": ({ detail }) => setCount(detail.count) };
  return h("div", null, h("red-dot", props), h("output", null, count), h("button", { id: "less", onClick: () => setMax(1) }, "Less"));
}

createRoot(document.getElementById("app")).render(h(Page));
