/** A publication, or a notification, sent by hand. */

import { el } from "../dom.js";
import { json, plural } from "../format.js";
import { Outcome, card, field, input, select } from "../parts.js";

const JSON_HINT = "Any JSON value.";

/** Whether the fields hold JSON or nothing; the browser says at the first that does not. */
function allJson(...controls) {
  return controls.every((control) => {
    try {
      parsed(control);
      control.setCustomValidity("");
    } catch (error) {
      control.setCustomValidity(`Not JSON: ${error.message}`);
    }
    return control.reportValidity();
  });
}

function parsed(control) {
  const text = control.value.trim();
  return text ? JSON.parse(text) : undefined;
}

/** A body whose `data` goes as it was written, down to the digits of its numbers. */
function withData(fields, data) {
  const text = data.value.trim();
  const rest = JSON.stringify(given(fields));
  return text ? `${rest.slice(0, -1)},"data":${text}}` : rest;
}

/** @param {() => [Promise<any>, (answer: any) => Node[]] | null} send null: nothing was sent */
function form(name, label, send, ...children) {
  const outcome = new Outcome();
  const submit = el("button", { class: "button primary" }, label);
  const element = el(
    "form",
    {
      class: "form",
      "aria-label": name,
      on: {
        async submit(event) {
          event.preventDefault();
          const asked = send();
          if (asked === null) return;
          submit.disabled = true;
          await outcome.follow(...asked);
          submit.disabled = false;
        },
        input: (event) => event.target.setCustomValidity?.(""),
      },
    },
    ...children,
    el("div", { class: "options wide" }, submit),
  );
  return [element, outcome.element];
}

/** Without what was left empty. */
function given(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== "" && value !== undefined && value !== false));
}

function check(name, label) {
  return el("label", { class: "check" }, el("input", { type: "checkbox", name }), label);
}

function publishForm(api) {
  const topic = input("topic", { required: true, placeholder: "news/sports" });
  const data = el("textarea", { name: "data", rows: 4, spellcheck: "false", required: true }, '{"text": "Hello"}');
  const event = input("event", { placeholder: "message" });
  const id = input("id", { placeholder: "made by the server" });
  const ttl = input("ttl", { type: "number", min: 0, step: "any", placeholder: "never expires" });
  const [ephemeral, retain] = [check("ephemeral", "Ephemeral: do not store it"), check("retain", "Retain: hand it to new subscribers")];
  const send = () => {
    if (!allJson(data)) return null;
    const body = withData({
      topic: topic.value,
      event: event.value,
      id: id.value,
      ttl: ttl.value && Number(ttl.value),
      ephemeral: ephemeral.firstChild.checked,
      retain: retain.firstChild.checked,
    }, data);
    return [
      api.post("v1/publish", body),
      (answer) => [el("strong", {}, answer?.offset ? `Stored as number ${answer.offset}.` : "Sent."), el("pre", { tabindex: 0, "aria-label": "Answer" }, json(answer))],
    ];
  };
  return card("Publish", ...form("Publish", "Publish", send,
    field("Topic", topic, { wide: true }),
    field("Data", data, { hint: JSON_HINT, wide: true }),
    field("Event", event), field("Id, to send it once", id),
    field("Seconds until it expires", ttl),
    el("div", { class: "checks" }, ephemeral, retain)));
}

function recipients(kind, names) {
  const all = names.value.split(",").map((name) => name.trim()).filter(Boolean);
  if (kind.value === "users") return { users: all };
  return kind.value === "topic" ? { topic: names.value.trim() } : { everyone: true };
}

function receipt(answer) {
  const to = answer.recipients === null ? "whoever follows" : plural(answer.recipients, "user");
  const what = answer.scheduled ? "Waits for its time" : answer.duplicate ? "It was sent before" : "Sent";
  return [el("strong", {}, `${what}, to ${to}.`), el("pre", { tabindex: 0, "aria-label": "Answer" }, json(answer))];
}

function notifyForm(api) {
  const kind = select("to", [["users", "Users"], ["topic", "Followers of a topic"], ["everyone", "Everyone"]]);
  const names = input("names", { required: true, placeholder: "anna, ben" });
  const namesField = field("Names", names);
  const title = input("title", { required: true, maxlength: 500 });
  const body = el("textarea", { name: "body", rows: 3, maxlength: 10_000 });
  const [url, icon] = [input("url", { placeholder: "/orders/42" }), input("icon")];
  const category = input("category", { placeholder: "general" });
  const priority = select("priority", [["", "normal"], ["low", "low"], ["high", "high"], ["urgent", "urgent"]]);
  const ttl = input("ttl", { type: "number", min: 0, step: "any", placeholder: "never expires" });
  const at = input("publish_at", { type: "datetime-local" });
  const collapse = input("collapse_key");
  const id = input("id", { placeholder: "made by the server" });
  const actions = el("textarea", { name: "actions", rows: 2, spellcheck: "false", placeholder: '[{"title": "Accept", "url": "/orders/42"}]' });
  const data = el("textarea", { name: "data", rows: 2, spellcheck: "false" });
  kind.addEventListener("change", () => {
    namesField.hidden = kind.value === "everyone";
    names.required = kind.value !== "everyone";
    namesField.firstChild.textContent = kind.value === "topic" ? "Topic" : "Names";
    names.placeholder = kind.value === "topic" ? "teams/7" : "anna, ben";
  });
  const send = () => {
    if (!allJson(actions, data)) return null;
    const wanted = withData({
      to: recipients(kind, names),
      title: title.value,
      body: body.value,
      url: url.value,
      icon: icon.value,
      category: category.value,
      priority: priority.value,
      ttl: ttl.value && Number(ttl.value),
      publish_at: at.value && new Date(at.value).toISOString(),
      collapse_key: collapse.value,
      id: id.value,
      actions: parsed(actions),
    }, data);
    return [api.post("v1/notifications", wanted), receipt];
  };
  return card("Notify", ...form("Notify", "Notify", send,
    field("To", kind), namesField,
    field("Title", title, { wide: true }), field("Body", body, { wide: true }),
    field("Address it opens", url), field("Icon", icon),
    field("Category", category), field("Priority", priority),
    field("Not before", at), field("Seconds until it expires", ttl),
    field("Collapse key", collapse), field("Id, to send it once", id),
    field("Actions", actions, { hint: "A JSON list.", wide: true }),
    field("Data", data, { hint: JSON_HINT, wide: true })));
}

function open(root, { api }) {
  root.append(el("div", { class: "halves" }, publishForm(api), notifyForm(api)));
}

export const send = { id: "send", title: "Send", open };
