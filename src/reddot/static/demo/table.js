/** The panels' figures as a table: for screen readers, and to copy. */

import { formatBytes, formatCount, formatMs } from "./format.js";

const COPIED_MS = 1_500;

function cells(figures) {
  return [
    figures.name,
    figures.state,
    formatCount(figures.received),
    formatMs(figures.median),
    formatMs(figures.p99),
    formatCount(figures.requests),
    formatBytes(figures.bytesPerMessage),
    formatCount(figures.lost),
    formatCount(figures.twice),
  ];
}

function makeRow(length) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  row.append(head, ...Array.from({ length: length - 1 }, () => document.createElement("td")));
  return row;
}

export function drawTable(table, allFigures) {
  const body = table.tBodies[0];
  allFigures.map(cells).forEach((texts, i) => {
    const row = body.rows[i] ?? body.appendChild(makeRow(texts.length));
    texts.forEach((text, j) => {
      if (row.cells[j].textContent !== text) row.cells[j].textContent = text;
    });
  });
}

/** Let `button` copy the table as tab-separated values, which spreadsheets take. */
export function bindCopy(button, table) {
  const label = button.textContent;
  button.addEventListener("click", async () => {
    const lines = [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent).join("\t"));
    try {
      await navigator.clipboard.writeText(lines.join("\n"));
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed here";
    }
    setTimeout(() => (button.textContent = label), COPIED_MS);
  });
}
