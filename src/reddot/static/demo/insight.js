/** One sentence out of the figures: who is fastest, slowest, cheapest, dearest just now. Pure. */

import { formatBytes, formatMs } from "./format.js";

function extremes(figures, key) {
  const sorted = figures.toSorted((a, b) => a[key] - b[key]);
  return [sorted[0], sorted.at(-1)];
}

function times(high, low) {
  const ratio = high / low;
  return ratio < 9.5 ? ratio.toFixed(1) : Math.round(ratio).toLocaleString("en");
}

/**
 * @returns {string[] | undefined} names and words in turn, names first; undefined while too little
 *   is known
 */
export function describe(figures) {
  const known = figures.filter(({ median, bytesPerMessage }) => median !== undefined && bytesPerMessage);
  if (known.length < 2) return undefined;
  const [fastest, slowest] = extremes(known, "median");
  const [cheapest, dearest] = extremes(known, "bytesPerMessage");
  const factor = times(dearest.bytesPerMessage, cheapest.bytesPerMessage);
  return [
    fastest.name,
    ` is fastest at ${formatMs(fastest.median)} ms, `,
    slowest.name,
    ` slowest at ${formatMs(slowest.median)} ms. `,
    dearest.name,
    ` is dearest at ${formatBytes(dearest.bytesPerMessage)} bytes a message, ${factor} times `,
    cheapest.name,
    ".",
  ];
}

function strong(text) {
  return Object.assign(document.createElement("strong"), { textContent: text });
}

/** Show the sentences in `element`, names in bold. */
export function drawInsight(element, figures) {
  const parts = describe(figures);
  if (parts === undefined) element.textContent = "measuring …";
  else element.replaceChildren(...parts.map((part, i) => (i % 2 ? part : strong(part))));
}
