/**
 * How long to wait before trying again: full jitter, so that a crowd does not come back as one.
 */

export const BACKOFF_FIRST_MS = 500;
export const BACKOFF_MAX_MS = 30_000;
const BACKOFF_MIN_MS = 50;

/**
 * @param {number} longest milliseconds
 * @returns {number} milliseconds: anything up to it, and to 30 s
 */
export function jitter(longest) {
  return Math.max(BACKOFF_MIN_MS, Math.random() * Math.min(BACKOFF_MAX_MS, longest));
}

/**
 * @param {number} attempt 0 for the first wait
 * @returns {number} milliseconds: anything up to 0.5 s, 1 s, 2 s … 30 s
 */
export const backoff = (attempt) => jitter(BACKOFF_FIRST_MS * 2 ** attempt);

/**
 * @param {string | null} value of `Retry-After`, in seconds or as a date (RFC 9110 section 10.2.3)
 * @returns {number | undefined} milliseconds from now; undefined for nothing or nonsense
 */
export function retryAfter(value) {
  const seconds = Number(value || NaN);
  const ms = isNaN(seconds) ? Date.parse(`${value}`) - Date.now() : seconds * 1000;
  return ms >= 0 ? ms : undefined;
}

/** How long an answer asks to wait. @param {Response} answer */
export const retryMsOf = ({ headers }) => retryAfter(headers.get("retry-after"));

/** @param {number} ms */
export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
