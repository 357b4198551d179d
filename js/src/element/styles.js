/**
 * How the elements look: one sheet for all, constructed, so that a strict Content-Security-Policy
 * takes nothing away. Colours are pairs for light and dark; a page changes them by `--red-dot-…`.
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
.heading:focus { outline: 0; }
svg { display: block; width: 20px; fill: none; stroke: currentcolor; stroke-width: 1.75; stroke-linecap: round; stroke-linejoin: round; }
.aloud { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }

.bell, .tool, .avatar, .empty { display: grid; place-items: center; }
.bell { position: relative; anchor-name: --bell; width: var(--red-dot-size, 44px); aspect-ratio: 1; border-radius: 50%; color: inherit; }
.bell svg { width: 24px; }
.bell:hover, .tool:hover, .row:hover, .more:hover, .switch:hover { background: var(--sunken); }
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
  background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius);
}
.panel:not(.open) { display: none; }
.panel, .toast { box-shadow: var(--red-dot-shadow, 0 12px 40px rgb(0 0 0 / 18%)); }
.open { animation: appear .15s; }
.note, .toast { animation: stay 5s; }
:is(.note, .toast):is(:hover, :focus-within) { animation-play-state: paused; }
:host(red-dot-inbox) { display: flex; flex-direction: column; height: 100%; background: var(--surface); }
.header, .tabs, .note, .switch, .meta { display: flex; align-items: center; gap: 8px; }
.header { gap: 2px; padding: 10px 10px 4px 16px; padding-inline: 16px 10px; }
.heading { flex: 1; font-size: 16px; font-weight: 650; }
.tool { width: 34px; height: 34px; border-radius: 8px; color: var(--soft); }
.tool:hover, .tab:hover, [aria-selected=true] { color: var(--ink); }
.tabs { flex: none; gap: 2px; padding: 0 8px; overflow: auto hidden; scrollbar-width: none; border-bottom: 1px solid var(--line); }
.tab { flex: none; padding: 9px 8px; border-bottom: 2px solid transparent; color: var(--soft); font-weight: 500; }
[aria-selected=true] { border-color: var(--red); }
.count { margin-inline-start: 6px; padding: 1px 6px; border-radius: 9px; background: var(--sunken); color: var(--ink); font-size: 11px; }

.list { position: relative; flex: 1; overflow: auto; overscroll-behavior: contain; padding: 6px; }
.row, .toast { position: relative; display: flex; gap: 12px; padding: 10px; border-radius: 10px; }
.row { margin-bottom: 2px; animation: slide .2s; }
.row.unread { background: var(--unread); }
.unread::before { content: ""; position: absolute; z-index: 1; top: 8px; inset-inline-start: 8px; width: 10px; height: 10px; border-radius: 50%; background: var(--red); box-shadow: 0 0 0 2px var(--surface); }
.avatar { position: relative; flex: none; overflow: hidden; width: 36px; height: 36px; border-radius: 50%; background: color-mix(in srgb, var(--soft) 16%, var(--surface)); color: var(--soft); font-weight: 600; }
.avatar img { position: absolute; width: 100%; height: 100%; object-fit: cover; }
.urgent .avatar { box-shadow: 0 0 0 2px var(--red); }
.content { display: grid; flex: 1; gap: 2px; min-width: 0; overflow-wrap: anywhere; }
.title, .body { justify-self: start; }
.title { color: inherit; text-decoration: none; }
.unread .title, .toast .title { font-weight: 650; }
.title::after { content: ""; position: absolute; inset: 0; }
.body { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; }
.body, .meta, .more, .end, .banner { color: var(--soft); }
.meta, .end, .footer, .heading ~ *, kbd { font-size: 12px; }
.time { white-space: nowrap; }
.actions { order: 1; display: flex; flex-wrap: wrap; gap: 8px; }
.action { position: relative; z-index: 1; margin-top: 6px; padding: 4px 12px; border: 1px solid var(--line); border-radius: 8px; background: var(--surface); color: var(--ink); font-weight: 500; text-decoration: none; }
.tools { position: absolute; z-index: 1; top: 6px; inset-inline-end: 6px; display: flex; border-radius: 8px; background: var(--surface); box-shadow: 0 0 0 1px var(--line); }
.tools .tool { width: 30px; height: 28px; }
.row:not(:hover, :focus-within) .tools { opacity: 0; }
.pill { position: sticky; z-index: 2; top: 6px; display: block; margin: 0 auto -30px; padding: 5px 14px; border-radius: 15px; background: var(--red); color: var(--red-dot-on-color, #fff); font-weight: 600; animation: pop .3s; }
.more, .end { width: 100%; padding: 14px; text-align: center; border-radius: 10px; }
.empty { align-content: center; gap: 8px; height: 100%; padding: 40px; color: var(--soft); }
.empty svg { width: 40px; stroke-width: 1.25; }
.loading { animation: appear 1ms .2s both; }
.loading i { display: block; height: 64px; margin: 4px; border-radius: 10px; background: var(--sunken); animation: appear 1s infinite alternate; }
.banner { padding: 8px 16px; background: var(--sunken); }
.note { justify-content: space-between; margin: 0 10px 10px; padding: 10px 14px; border-radius: 10px; background: var(--ink); color: var(--surface); }
.note button { font-weight: 650; text-decoration: underline; }
.switch { justify-content: space-between; width: 100%; padding: 9px 10px; border-radius: 8px; }
.switch i { width: 34px; padding: 3px; border-radius: 10px; background: var(--soft); }
.switch i::before { content: ""; display: block; width: 14px; height: 14px; border-radius: 50%; background: var(--surface); }
[aria-checked=true] i { padding-inline-start: 17px; background: light-dark(#1a7f4b, #3fb67b); }
hr, h3, dl { margin: 14px 10px 8px; }
hr { border: 0; border-top: 1px solid var(--line); }
dl { display: grid; grid-template-columns: auto 1fr; gap: 8px 16px; color: var(--soft); }
kbd { padding: 2px 7px; border: 1px solid var(--line); border-radius: 6px; font-family: inherit; }
.footer { padding: 6px 16px; border-top: 1px solid var(--line); color: var(--soft); }
pre { max-height: 160px; overflow: auto; }

:host(red-dot-toast) { position: fixed; bottom: 16px; inset-inline-end: 16px; z-index: 1000; width: min(380px, 100vw - 32px); }
.toast { margin-top: 10px; padding: 12px; background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius); }
.toast .tool { position: relative; z-index: 1; margin: -6px; }

@keyframes pop { 60% { transform: scale(1.2); } }
@keyframes appear { from { opacity: 0; } }
.toast { animation-duration: 6s; }
.urgent, .stay { animation-iteration-count: infinite; }
@keyframes stay { from { opacity: 0; } 3% { opacity: 1; } }
@keyframes slide { from { opacity: 0; transform: translateY(-10px); } }
@media (max-width: 479px) { .panel { position-area: none; inset: 0; margin: 0; width: 100%; height: 100%; max-height: none; border: 0; border-radius: 0; } }
@supports not (position-area: top) { .panel { top: 56px; inset-inline-end: 0; } }
@media (hover: none) { .tools { position: static; flex-direction: column; align-self: start; background: none; box-shadow: none; opacity: 1 !important; } }
@media (prefers-reduced-motion: reduce) { *:not(.note, .toast) { animation: none !important; } @keyframes stay { to { opacity: 1; } } }
@media (forced-colors: active) { .badge, .pill, .unread::before, [aria-checked=true] i { background: Highlight; color: HighlightText; forced-color-adjust: none; } [aria-selected=false] { border-color: Canvas; } }
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
