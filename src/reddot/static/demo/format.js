/** How figures are written, the same in panels, table and sentences. Pure. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const NOTHING = "–";

export function formatCount(value) {
  return whole.format(value);
}

/** Milliseconds: a decimal below 10, none above. Undefined when nothing was measured. */
export function formatMs(value) {
  if (value === undefined) return NOTHING;
  return value < 9.95 ? tenth.format(value) : whole.format(value);
}

export function formatBytes(value) {
  if (value === undefined) return NOTHING;
  if (value < 10_000) return whole.format(value);
  return value < 1_000_000 ? `${tenth.format(value / 1000)} k` : `${tenth.format(value / 1e6)} M`;
}

/** A rate in messages a minute, in the unit that needs no fraction. */
export function formatRate(perMinute) {
  return perMinute < 60 ? `${perMinute} / min` : `${perMinute / 60} / s`;
}

export function formatSize(bytes) {
  return bytes < 1024 ? `${bytes} B` : `${bytes / 1024} KiB`;
}
