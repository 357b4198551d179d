/**
 * The theme: auto, light or dark, remembered in this browser.
 *
 * It is its own module, run before the first paint where the browser can wait for it, so that a
 * chosen theme does not flash.
 */

const KEY = "reddot-theme";
const THEMES = ["auto", "light", "dark"];

/** Storage may be forbidden; the page then simply forgets. */
function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function remember(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Nothing is lost but the choice.
  }
}

function apply(theme) {
  document.documentElement.dataset.theme = theme;
}

/** Connect the radio buttons of `fieldset` to the theme. */
export function bindTheme(fieldset) {
  for (const radio of fieldset.querySelectorAll("input")) {
    radio.checked = radio.value === document.documentElement.dataset.theme;
    radio.addEventListener("change", () => {
      apply(radio.value);
      remember(radio.value);
    });
  }
}

const chosen = remembered();
apply(THEMES.includes(chosen) ? chosen : "auto");
