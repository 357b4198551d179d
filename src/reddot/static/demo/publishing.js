/** The publish form: what a client would send, and the answer as it came. */

import { publish } from "./server.js";

function readDraft(form) {
  const fields = new FormData(form);
  const draft = { topic: fields.get("topic"), data: JSON.parse(fields.get("data")) };
  if (fields.get("event")) draft.event = fields.get("event");
  if (fields.get("kind") === "ephemeral") draft.ephemeral = true;
  if (fields.get("retain")) draft.retain = true;
  return draft;
}

/** @param {{form, invalid, status, answer}} elements */
export function bindPublishing({ form, invalid, status, answer }) {
  const show = (headline, body, ok) => {
    status.textContent = headline;
    status.classList.toggle("alarm", !ok);
    answer.hidden = body === "";
    answer.textContent = body === "" ? "" : JSON.stringify(body, null, 2);
  };

  const send = async (draft) => {
    try {
      const { status: code, ms, body } = await publish(JSON.stringify(draft));
      show(`HTTP ${code} after ${ms.toFixed(1)} ms`, body, code < 300);
    } catch (error) {
      show(`Not sent: ${error.message}`, "", false);
    }
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    try {
      const draft = readDraft(form);
      invalid.textContent = "";
      form.elements.data.removeAttribute("aria-invalid");
      void send(draft);
    } catch (error) {
      invalid.textContent = `Not JSON: ${error.message}`;
      form.elements.data.setAttribute("aria-invalid", "true");
    }
  });
}
