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
