/**
 * What the elements say. The English text is the name of a text: other languages, and a page that
 * wants other words, give theirs by it.
 */

/** @typedef {Record<string, string | Record<string, string>>} Table by English text; plurals by `Intl.PluralRules` */
/** @typedef {(text: string, values?: Record<string, any>) => string} Say */

/** A page may add to it. @type {Record<string, Table>} */
export const languages = {
  en: { "{n} new notifications": { one: "{n} new notification", other: "{n} new notifications" } },
  zh: {
    Notifications: "通知",
    "{n} unread": "{n} 条未读",
    "{n} new": "{n} 条新通知",
    "{n} new notifications": "{n} 条新通知",
    Close: "关闭",
    "Could not load": "加载失败",
    "Try again": "重试",
    "No connection": "连接已断开",
    Urgent: "紧急",
  },
};

/**
 * @param {string} lang a language tag
 * @param {Table} [own] the page's, before all others
 * @returns {Say}
 */
export function texts(lang, own) {
  const table = { ...(languages[lang] ?? languages[lang.split("-")[0]]), ...own };
  return (text, values = {}) => {
    /** @type {any} */
    const known = table[text] ?? text;
    const form = known[new Intl.PluralRules(lang).select(values.n)] ?? known.other ?? known;
    return form.replace(/\{(\w+)\}/g, (/** @type {string} */ _, /** @type {string} */ name) => values[name].toLocaleString(lang));
  };
}

/**
 * The language of an element.
 *
 * @param {Element} element
 * @returns {string} what `Intl` knows as one
 */
export function langOf(element) {
  try {
    return Intl.getCanonicalLocales((/** @type {HTMLElement} */ (element.closest("[lang]") ?? document.documentElement)).lang || navigator.language)[0];
  } catch {
    return "en";
  }
}
