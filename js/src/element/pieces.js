/** What is shown in several places: pictures, buttons that are one, what stands for a list. */

import { h } from "./render.js";

/** @typedef {import("./render.js").Child} Child */

const SKELETONS = 6;

/** Pictures, as the path that a pen takes. */
export const BELL = "M6 9a6 6 0 1 1 12 0c0 6 2.500 8 2.500 8h-17S6 15 6 9m4 11a2.200 2.200 0 0 0 4 0";
export const CLOSE = "m6 6 12 12M18 6 6 18";

/** @param {string} path */
export const icon = (path) => h("svg", "", { viewBox: "0 0 24 24", "aria-hidden": "true" }, h("path", "", { d: path }));

/** @type {(path: string, label: string, deed: string, attributes?: object) => Child} */
export const tool = (path, label, deed, attributes) =>
  h("button", "tool", { key: deed, do: deed, "aria-label": label, title: label, ...attributes }, icon(path));

/** The top of an inbox. @type {(of: import("./element.js").RedDotElement, title: string, before?: Child, after?: Child) => Child} */
export const header = ({ host, say }, title, before, after) =>
  h(
    "slot",
    "",
    { name: "header" },
    h("header", "header", {}, before, h("h2", "heading", { key: "h2", tabindex: -1 }, say(title)), after, host && tool(CLOSE, say("Close"), "close")),
  );

/** In place of a list that is not there yet, or that could not be loaded. @type {(say: import("./texts.js").Say, failed?: boolean) => Child} */
export const waiting = (say, failed) =>
  failed
    ? h("div", "empty", { key: 2, role: "alert" }, say("Could not load"), h("button", "action", { do: "retry" }, say("Try again")))
    : h("div", "loading", { key: 1 }, Array.from({ length: SKELETONS }, () => h("i")));
