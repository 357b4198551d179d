/**
 * How the elements look, but for notifications: one sheet for all, constructed, so that a strict
 * Content-Security-Policy takes nothing away. Colours are pairs for light and dark; a page changes them by `--red-dot-…`.
 */

const CSS = `
:host {
  --red: var(--red-dot-color, light-dark(#d1242f, #d1353c));
  --surface: var(--red-dot-surface, light-dark(#fff, #1b1a1d));
  --sunken: var(--red-dot-sunken, light-dark(#f4f2ef, #29272c));
  --line: var(--red-dot-line, light-dark(#e4e0db, #343238));
  --ink: var(--red-dot-ink, light-dark(#1d1b1a, #eeecea));
  --soft: var(--red-dot-soft, light-dark(#625c56, #aaa4a0));
  --unread: var(--red-dot-unread, light-dark(#fef8f7, #241d20));
  --focus: var(--red-dot-focus, light-dark(#1f5fbf, #8ab4ff));
  --radius: var(--red-dot-radius, 14px);
  --shadow: var(--red-dot-shadow, 0 12px 40px rgb(0 0 0 / 18%));
  display: inline-block;
  color: var(--ink);
  font: var(--red-dot-font, 14px/1.45 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif);
  font-variant-numeric: tabular-nums;
}
:host([theme=light]) { color-scheme: light; }
:host([theme=dark]) { color-scheme: dark; }
:host([hidden]), [hidden] { display: none; }
* { box-sizing: border-box; margin: 0; }
button { font: inherit; color: inherit; background: none; border: 0; padding: 0; text-align: start; cursor: pointer; }
:focus-visible { outline: 2px solid var(--focus); outline-offset: -2px; border-radius: 8px; }
svg { display: block; width: 20px; fill: none; stroke: currentcolor; stroke-width: 1.75; stroke-linecap: round; stroke-linejoin: round; }
.aloud { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }

.bell, .tool, .empty { display: grid; place-items: center; }
.bell { position: relative; anchor-name: --bell; width: var(--red-dot-size, 44px); aspect-ratio: 1; border-radius: 50%; color: inherit; }
.bell svg { width: 24px; }
.bell:hover, .tool:hover { background: var(--sunken); }
.badge {
  position: absolute; top: 3px; inset-inline-start: 52%; min-width: 18px; height: 18px; padding: 0 5px; border-radius: 9px;
  background: var(--red); color: var(--red-dot-on-color, #fff); box-shadow: 0 0 0 2px var(--red-dot-ring, Canvas);
  font-size: 11px; font-weight: 650; line-height: 18px; text-align: center; animation: pop .3s;
}
.dot { top: 8px; min-width: 10px; height: 10px; padding: 0; }
.stale .badge { background: var(--soft); color: var(--surface); }
:host([pulse]) .badge { animation: pop 1s infinite; }

.panel {
  position: fixed; position-anchor: --bell; position-area: block-end span-inline-start; position-try: most-height flip-block, flip-inline, flip-block flip-inline;
  inset: auto; margin: 8px; padding: 0; z-index: 999; overflow: hidden; max-height: calc(100% - 16px); color: inherit;
  width: min(var(--red-dot-width, 420px), 100vw - 16px); height: var(--red-dot-height, 600px);
  background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius); box-shadow: var(--shadow);
}
.panel:not(.open) { display: none; }
.open { animation: appear .15s; }
:host(red-dot-inbox) { display: flex; flex-direction: column; height: 100%; background: var(--surface); }
.header { display: flex; align-items: center; gap: 2px; padding: 10px 10px 4px 16px; padding-inline: 16px 10px; }
.heading { flex: 1; font-size: 16px; font-weight: 650; }
.heading:focus { outline: 0; }
.tool { width: 34px; height: 34px; border-radius: 8px; color: var(--soft); }
.tool:hover { color: var(--ink); }

.list { position: relative; flex: 1; overflow: auto; overscroll-behavior: contain; padding: 6px; scrollbar-width: thin; scrollbar-color: var(--soft) transparent; }
.action { position: relative; z-index: 1; margin-top: 6px; padding: 4px 12px; border: 1px solid var(--line); border-radius: 8px; background: var(--surface); color: var(--ink); font-weight: 500; text-decoration: none; }
.empty { align-content: center; gap: 8px; height: 100%; padding: 40px; color: var(--soft); }
.loading { animation: appear 1ms .2s both; }
.loading i { display: block; height: 64px; margin: 4px; border-radius: 10px; background: var(--sunken); animation: appear 1s infinite alternate; }

:host(red-dot-toast) { position: fixed; bottom: 16px; inset-inline-end: 16px; z-index: 1000; width: min(380px, 100vw - 32px); }

@keyframes pop { 60% { transform: scale(1.2); } }
@keyframes appear { from { opacity: 0; } }
@media (max-width: 479px) { .panel { position-area: none; inset: 0; margin: 0; width: 100%; height: 100%; max-height: none; border: 0; border-radius: 0; } }
@supports not (position-area: top) { .panel { top: 56px; inset-inline-end: 0; } }
@media (prefers-reduced-motion: reduce) { *:not(.note, .toast) { animation: none !important; } }
@media (forced-colors: active) { .badge { background: Highlight; color: HighlightText; forced-color-adjust: none; } }
`;

/** @type {CSSStyleSheet | undefined} */
let shared;

/** The sheet, made when the first element needs it. */
export function sheet() {
  if (!shared) {
    shared = new CSSStyleSheet();
    shared.replaceSync(CSS);
  }
  return shared;
}
