/** Tokens for people and keys for servers, and one-time links to this console. */

import { el } from "../dom.js";
import { span, stamp } from "../format.js";
import { Outcome, button, card, copyable, field, input, select } from "../parts.js";

const LIFETIMES = [["600", "10 minutes"], ["3600", "1 hour"], ["28800", "8 hours"], ["86400", "1 day"]];

function filters(control) {
  return control.value.split("\n").map((text) => text.trim()).filter(Boolean);
}

function tokenCard(api) {
  const user = input("user", { placeholder: "anna" });
  const [subscribe, publish] = ["subscribe", "publish"].map((name) =>
    el("textarea", { name, rows: 2, spellcheck: "false", placeholder: "news/#" }));
  const lifetime = select("lifetime_s", LIFETIMES);
  const admin = el("input", { type: "checkbox", name: "admin" });
  const outcome = new Outcome();
  const issue = (event) => {
    event.preventDefault();
    const wanted = {
      ...(user.value ? { user: user.value } : {}),
      subscribe: filters(subscribe),
      publish: filters(publish),
      admin: admin.checked,
      lifetime_s: Number(lifetime.value),
    };
    void outcome.follow(api.post("v1/tokens", wanted), ({ token, expires }) => [
      el("strong", {}, `Good until ${stamp(expires)}. It is not shown again.`),
      copyable("Token", token),
    ]);
  };
  return card("Token",
    el("p", { class: "hint" }, "For tests and tools, signed with the setting jwt_secret. In production your application signs its people's tokens itself."),
    el("form", { class: "form", "aria-label": "Token", on: { submit: issue } },
      field("User", user), field("Good for", lifetime),
      field("May subscribe to", subscribe, { hint: "One filter a line." }), field("May publish to", publish, { hint: "One filter a line." }),
      el("div", { class: "options wide" }, el("label", { class: "check" }, admin, "Administrator: may do everything"),
        el("button", { class: "button primary" }, "Issue a token"))),
    outcome.element);
}

function keyCard(api) {
  const outcome = new Outcome();
  const make = () =>
    outcome.follow(api.post("v1/keys", {}), ({ key, line }) => [
      el("strong", {}, "Made, and kept nowhere: it is not shown again."),
      copyable("The key, for the server that publishes", key),
      copyable("The line for reddot.toml, which lets it in after a restart", `api_key = ["${line}"]`),
      el("p", { class: "hint" }, "If api_key has lines already, add this one to them. To revoke a key, take its line away and restart."),
    ]);
  return card("API key",
    el("p", { class: "hint" }, "For your servers: publishes and notifies everywhere, and never belongs into a browser. Reddot keeps only a hash, in the setting api_key."),
    el("div", { class: "options" }, button("Make a key", make, { class: "button primary" })),
    outcome.element);
}

function linkCard(api) {
  const outcome = new Outcome();
  const make = () =>
    outcome.follow(api.post("v1/console/links", {}), ({ setup, expires_in: seconds }) => [
      el("strong", {}, `Opens the console as an administrator, once, within ${span(seconds)}.`),
      copyable("Link", new URL(`console#setup=${setup}`, document.baseURI).href),
    ]);
  return card("Link to this console",
    el("p", { class: "hint" }, "For a colleague, or another browser."),
    el("div", { class: "options" }, button("Make a link", make, { class: "button primary" })),
    outcome.element);
}

function open(root, { api, admin }) {
  if (!admin) {
    root.append(el("p", { class: "message" }, "You are signed in with a server's key. Credentials are made by administrators: sign in with an administrator's token."));
    return;
  }
  root.append(el("div", { class: "halves" }, tokenCard(api), el("div", { class: "stack" }, keyCard(api), linkCard(api))));
}

export const credentials = { id: "credentials", title: "Credentials", open };
