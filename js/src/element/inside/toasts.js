/** How toasts look. */

import { CLOSE, h, tool } from "../parts.js";
import { avatar, content } from "./notice.js";
import { dress } from "./styles.js";

/** @typedef {import("../session.js").Notice} Notice */

/**
 * @param {import("../element.js").RedDotElement} of the element that they are in
 * @param {Notice[]} notices newest last
 */
export function toasts(of, notices) {
  const { say } = of;
  dress(of);
  const each = notices.map((notice) =>
    h(
      "div",
      `toast ${notice.data.priority} ${notice.data.actions?.length ? "stay" : ""}`,
      { key: notice.id, "data-id": notice.id },
      avatar(notice),
      h("div", "content", {}, content(notice, 0)),
      tool(CLOSE, say("Close"), "close"),
    ),
  );
  return h("div", "toasts", { role: "region", "aria-label": say("Notifications") }, each);
}
