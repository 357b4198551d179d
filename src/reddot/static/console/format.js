/** Numbers, sizes and times as people read them. Pure. */

const WHOLE = new Intl.NumberFormat("en");
const ONE = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const STAMP = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export const NONE = "–";

export function count(value) {
  return value === null || value === undefined ? NONE : WHOLE.format(value);
}

/** Short: 1.2K; for figures that are looked at and not compared. */
export function short(value) {
  return value < 10_000 ? ONE.format(value) : COMPACT.format(value);
}

export function bytes(value) {
  if (value === null || value === undefined) return NONE;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit ? ONE.format(value) : WHOLE.format(Math.round(value))} ${UNITS[unit]}`;
}

/** A span of seconds in at most two units. */
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

/** How long ago a time of the server was, by its own clock. */
export function ago(time, nowMs) {
  if (!time) return NONE;
  const seconds = (nowMs - Date.parse(time)) / 1000;
  return Math.abs(seconds) < 1 ? "now" : seconds < 0 ? `in ${span(-seconds)}` : `${span(seconds).split(" ").slice(0, 2).join(" ")} ago`;
}

export function stamp(time) {
  return time ? STAMP.format(new Date(time)) : NONE;
}

export function json(value) {
  return JSON.stringify(value, null, 2) ?? NONE;
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}
