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
    All: "全部",
    Unread: "未读",
    Archived: "已归档",
    "Mark all as read": "全部标为已读",
    "All marked as read": "已全部标为已读",
    Undo: "撤销",
    Preferences: "设置",
    Back: "返回",
    Close: "关闭",
    "Mark as read": "标为已读",
    "Mark as unread": "标为未读",
    Archive: "归档",
    "Move to inbox": "移回收件箱",
    "Load more": "加载更多",
    "You're all caught up": "没有更多了",
    "No notifications yet": "暂无通知",
    "Nothing unread": "没有未读通知",
    "Nothing archived": "没有已归档的通知",
    "Could not load": "加载失败",
    "Try again": "重试",
    "No connection": "连接已断开",
    "Last updated {time}": "上次更新 {time}",
    "Signed out": "已退出登录",
    "That did not work": "操作失败",
    "Play a sound": "播放提示音",
    "Show on the desktop": "显示桌面通知",
    "Keyboard shortcuts": "键盘快捷键",
    "Next or previous": "下一条或上一条",
    Open: "打开",
    Urgent: "紧急",
    "Why this number?": "为什么是这个数字？",
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
 * How long ago, or the day when that is more than a week.
 *
 * @param {string} lang
 * @param {number} then
 * @returns {string}
 */
export function ago(lang, then) {
  let [span, unit] = [Math.max(0, Date.now() - then) / 1000, "second"];
  for (const [size, next] of /** @type {const} */ ([[60, "minute"], [60, "hour"], [24, "day"]])) {
    if (span < size) break;
    [span, unit] = [span / size, next];
  }
  if (unit === "day" && span >= 7) return new Date(then).toLocaleDateString(lang, { month: "short", day: "numeric" });
  const passed = unit === "second" ? 0 : -Math.floor(span);
  return new Intl.RelativeTimeFormat(lang, { numeric: "auto", style: "narrow" }).format(passed, /** @type {any} */ (unit));
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
