/** Where keys lead in a row of things. */

/** @type {(key: string, arrows: string[], at: number, size: number) => number} where a key leads; -1: nowhere */
export function step(key, [next, previous], at, size) {
  const to = { [next]: at + 1, [previous]: at - 1, PageDown: at + 5, PageUp: at - 5, Home: 0, End: size - 1 }[key];
  return to === undefined ? -1 : Math.max(0, Math.min(size - 1, to));
}

/** Go where a key leads among elements. @type {(key: string, arrows: string[], all: HTMLElement[], from: Element) => HTMLElement | undefined} */
export function go(key, arrows, all, from) {
  const to = all[step(key, arrows, all.indexOf(/** @type {HTMLElement} */ (from)), all.length)];
  to?.focus();
  return to;
}

export const VERTICAL = ["ArrowDown", "ArrowUp"];
