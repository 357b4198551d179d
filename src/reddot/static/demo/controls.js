/** The control bar: sliders with fixed steps, the cursor switch, fault buttons, experiments. */

import { EXPERIMENTS } from "./about.js";
import { formatRate, formatSize } from "./format.js";

/** Messages a minute: about log scale, and each a number that people say. */
const RATES = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3000];
const SIZES = [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384];
const POLLS_MS = [500, 1000, 2000, 3000, 5000, 10_000, 20_000, 30_000];
const SEND_AFTER_MS = 150;
/** Before an experiment cuts, every panel shall have something to show. */
const BEFORE_CUT_MS = 4_000;
const CUT_LABEL = "Cut connections";
const CUT_SOON_LABEL = "Cut in a moment";

const byId = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What a fault button did is read out; the page itself shows it. What failed is shown. */
function note(text, { failed = false } = {}) {
  byId("fault-note").textContent = text;
  byId("fault-note").className = failed ? "invalid" : "hidden-text";
}

/** A slider over a list of values; `changed` is called once the hand rests. */
class StepSlider {
  #input;
  #output;
  #steps;
  #format;
  #timer;

  constructor(id, { steps, value, format, changed }) {
    this.#input = byId(id);
    this.#output = byId(`${id}-value`);
    this.#steps = steps;
    this.#format = format;
    this.#input.max = steps.length - 1;
    this.value = value;
    this.#input.addEventListener("input", () => {
      this.#show();
      clearTimeout(this.#timer);
      this.#timer = setTimeout(changed, SEND_AFTER_MS);
    });
  }

  get value() {
    return this.#steps[this.#input.valueAsNumber];
  }

  set value(value) {
    this.#input.value = this.#steps.indexOf(value);
    this.#show();
  }

  #show() {
    const text = this.#format(this.value);
    this.#output.textContent = text;
    this.#input.setAttribute("aria-valuetext", text);
    this.#input.style.setProperty("--share", this.#input.valueAsNumber / (this.#steps.length - 1));
  }
}

export class Controls {
  #rate;
  #size;
  #poll;
  #hooks;
  #paused = false;
  #experiment = 0;

  /** @param {{setting, pause, cursor, reset, cut, restart}} hooks called after a change */
  constructor(hooks) {
    this.#hooks = hooks;
    const changed = () => hooks.setting();
    this.#rate = new StepSlider("rate", { steps: RATES, value: 120, format: formatRate, changed });
    this.#size = new StepSlider("size", { steps: SIZES, value: 64, format: formatSize, changed });
    const poll = { steps: POLLS_MS, value: 3000, format: (ms) => `${ms / 1000} s` };
    this.#poll = new StepSlider("poll", { ...poll, changed });
    byId("cursor").addEventListener("change", () => hooks.cursor(this.cursor));
    byId("reset").addEventListener("click", () => hooks.reset());
    byId("pause").addEventListener("click", () => {
      this.#pause(!this.#paused);
      hooks.pause();
    });
    byId("cut").addEventListener("click", () => this.#cut());
    byId("restart").addEventListener("click", () => this.#restart());
    byId("experiments").append(...EXPERIMENTS.map((each) => this.#makeChip(each)));
  }

  /** Messages a minute; 0 while paused. */
  get perMinute() {
    return this.#paused ? 0 : this.#rate.value;
  }

  get size() {
    return this.#size.value;
  }

  get pollMs() {
    return this.#poll.value;
  }

  get cursor() {
    return byId("cursor").checked;
  }

  #pause(paused) {
    this.#paused = paused;
    byId("pause").setAttribute("aria-pressed", String(paused));
  }

  /** Cut, and count down in the button itself; only the two ends are announced. */
  async #cut() {
    const button = byId("cut");
    if (button.disabled) return;
    button.disabled = true;
    try {
      const { seconds } = await this.#hooks.cut();
      note(`Connections are cut for ${seconds} seconds.`);
      for (let left = seconds; left > 0; left--) {
        button.textContent = `Cut, ${left} s left`;
        await sleep(1000);
      }
      note("Connections are possible again.");
    } catch (error) {
      note(`Not cut: ${error.message}`, { failed: true });
    } finally {
      button.textContent = CUT_LABEL;
      button.disabled = false;
    }
  }

  async #restart() {
    try {
      await this.#hooks.restart();
      note("The hub has dropped every session.");
    } catch (error) {
      note(`Not restarted: ${error.message}`, { failed: true });
    }
  }

  #makeChip(experiment) {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.className = "chip";
    chip.textContent = experiment.title;
    chip.addEventListener("click", () => void this.#run(experiment));
    return chip;
  }

  /** A later experiment replaces one that has not cut yet. */
  async #run({ settings, cut, watch }) {
    const turn = ++this.#experiment;
    this.#rate.value = settings.perMinute;
    byId("cursor").checked = settings.cursor;
    this.#hooks.cursor(settings.cursor);
    this.#pause(false);
    byId("experiment-note").textContent = watch;
    const setting = this.#hooks.setting();
    if (!byId("cut").disabled) byId("cut").textContent = cut ? CUT_SOON_LABEL : CUT_LABEL;
    if (!cut) return;
    await setting;
    await sleep(BEFORE_CUT_MS);
    if (turn === this.#experiment) await this.#cut();
  }
}
