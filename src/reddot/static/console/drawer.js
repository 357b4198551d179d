/** What is told about one thing, beside the page: a dialog at the side, left with Escape. */

import { button } from "./parts.js";
import { el, newId } from "./dom.js";

/** @param {string} title @param {Node[]} children Returns a function that closes it. */
export function openDrawer(title, ...children) {
  const id = newId("drawer");
  const close = button("Close", () => dialog.close());
  const dialog = el(
    "dialog",
    { class: "drawer", "aria-labelledby": id },
    el("header", { class: "drawer-head" }, el("h2", { id }, title), close),
    el("div", { class: "drawer-body" }, ...children),
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return () => dialog.close();
}
