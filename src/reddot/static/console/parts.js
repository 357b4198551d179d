/** Small pieces that several sections are made of. */

import { el, newId } from "./dom.js";

const SURE_MS = 4000;

/** A button that does something on its second press, so that nothing is lost by a slip. */
export function sureButton(label, name, action) {
  let timer = 0;
  let busy = false;
  const calm = () => {
    button.textContent = label;
    button.classList.remove("sure");
    button.setAttribute("aria-label", name);
    timer = 0;
  };
  const button = el(
    "button",
    {
      type: "button",
      class: "button small",
      "aria-label": name,
      on: {
        async click() {
          if (busy) return;
          if (!timer) {
            button.textContent = "Sure?";
            button.classList.add("sure");
            button.setAttribute("aria-label", `${name}: press again to do it`);
            timer = setTimeout(calm, SURE_MS);
            return;
          }
          clearTimeout(timer);
          calm();
          // Not disabled meanwhile: that would take the focus away.
          busy = true;
          await action();
          busy = false;
        },
        keydown(event) {
          if (event.key === "Escape" && timer) {
            clearTimeout(timer);
            calm();
          }
        },
      },
    },
    label,
  );
  return button;
}

export function button(label, action, props = {}) {
  return el("button", { type: "button", class: "button small", ...props, on: { click: action } }, label);
}

/** A labelled control. @param {HTMLElement} control */
export function field(label, control, { hint = "", wide = false } = {}) {
  control.id ||= newId("field");
  const about = hint ? el("p", { class: "hint", id: `${control.id}-hint` }, hint) : null;
  if (about) control.setAttribute("aria-describedby", about.id);
  return el("div", { class: wide ? "field wide" : "field" }, el("label", { for: control.id }, label), control, about);
}

export function input(name, props = {}) {
  return el("input", { name, autocomplete: "off", spellcheck: "false", ...props });
}

/** @param {[string, string][]} options value and what it says */
export function select(name, options, props = {}) {
  return el("select", { name, ...props }, ...options.map(([value, text]) => el("option", { value }, text)));
}

export function card(title, ...children) {
  const id = newId("card");
  return el("section", { class: "card", "aria-labelledby": id }, el("h2", { id }, title), ...children);
}

/** What a request was answered with, in words or as it is. */
export class Outcome {
  constructor() {
    this.element = el("div", { class: "outcome", role: "status", hidden: true });
  }

  /** @param {Promise<any>} asked @param {(answer: any) => (Node | string)[]} shown */
  async follow(asked, shown) {
    try {
      this.#say("outcome good", shown(await asked));
      return true;
    } catch (error) {
      this.#say("outcome bad", [el("strong", {}, "Not done. "), error.message]);
      return false;
    }
  }

  #say(name, children) {
    this.element.className = name;
    this.element.replaceChildren(...children);
    this.element.hidden = false;
  }
}

/** A text to be taken away, with a button for it. */
export function copyable(label, text) {
  const value = el("code", { class: "copyable-text", tabindex: 0 }, text);
  const copy = button("Copy", async () => {
    await navigator.clipboard?.writeText(text).catch(() => {});
    copy.textContent = "Copied";
    getSelection().selectAllChildren(value);
  }, { "aria-label": `Copy ${label}` });
  return el("div", { class: "copyable" }, el("span", { class: "copyable-label" }, label), value, copy);
}
