/** How notifications look, in an inbox and as toasts: a sheet that comes after that of all elements. */

const CSS = `
.tabs, .note, .switch, .meta { display: flex; align-items: center; gap: 8px; }
.avatar { position: relative; display: grid; place-items: center; flex: none; overflow: hidden; width: 36px; height: 36px; border-radius: 50%; background: color-mix(in srgb, var(--soft) 16%, var(--surface)); color: var(--soft); font-weight: 600; }
.avatar img { position: absolute; width: 100%; height: 100%; object-fit: cover; }
.urgent .avatar { box-shadow: 0 0 0 2px var(--red); }
.content { display: grid; flex: 1; gap: 2px; min-width: 0; overflow-wrap: anywhere; }
.title, .body { justify-self: start; }
.title { color: inherit; text-decoration: none; }
.title::after { content: ""; position: absolute; inset: 0; }
.body { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; color: var(--soft); }
.actions { order: 1; display: flex; flex-wrap: wrap; gap: 8px; }
.toast { position: relative; display: flex; gap: 12px; margin-top: 10px; padding: 12px; background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius); box-shadow: var(--shadow); animation: stay 6s; }
.toast:is(.urgent, .stay) { animation-iteration-count: infinite; }
.toast .title { font-weight: 650; }
.toast .tool { position: relative; z-index: 1; margin: -6px; }
:is(.note, .toast):is(:hover, :focus-within) { animation-play-state: paused; }
.meta, .more, .end, .banner { color: var(--soft); }
.row:hover, .more:hover, .switch:hover, [role=menuitem]:is(:hover, :focus) { background: var(--sunken); }
.tabs { position: relative; flex: none; gap: 0; padding: 0 8px; border-bottom: 1px solid var(--line); }
.strip { display: flex; gap: 2px; min-width: 0; overflow: clip; }
.away { visibility: hidden; order: 1; }
.others.away { position: absolute; }
.others { margin-inline-start: auto; }
.others .count { min-width: 30px; text-align: center; }
.others i { display: inline-block; width: 6px; height: 6px; margin-block: 0 3px; margin-inline: 6px 2px; border: solid; border-width: 0 1.5px 1.5px 0; transform: rotate(45deg); }
[role=menu] { position: absolute; z-index: 4; inset-inline-end: 8px; display: grid; max-width: calc(100% - 16px); max-height: 60vh; padding: 4px; overflow: auto; border: 1px solid var(--line); border-radius: 10px; background: var(--surface); box-shadow: var(--shadow); animation: appear .15s; }
[role=menuitem] { display: flex; justify-content: space-between; gap: 20px; padding: 8px 10px; border-radius: 6px; }
.menu { top: 38px; }
.rest { top: calc(100% + 4px); min-width: 160px; }
.tab { flex: none; max-width: 200px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; padding: 9px 8px; border-bottom: 2px solid transparent; color: var(--soft); font-weight: 500; }
.tab:hover, [aria-selected=true] { color: var(--ink); }
[aria-selected=true] { border-color: var(--red); }
.count { margin-inline-start: 6px; padding: 1px 6px; border-radius: 9px; background: var(--sunken); color: var(--ink); font-size: 11px; }
.row { position: relative; display: flex; gap: 12px; padding: 10px; border-radius: 10px; margin-bottom: 2px; animation: slide .2s; }
.row.unread { background: var(--unread); }
.unread::before { content: ""; position: absolute; z-index: 1; top: 8px; inset-inline-start: 8px; width: 10px; height: 10px; border-radius: 50%; background: var(--red); box-shadow: 0 0 0 2px var(--surface); }
.unread .title { font-weight: 650; }
.meta, .end, .footer, .heading ~ *, kbd { font-size: 12px; }
.time { white-space: nowrap; }
.tools { position: absolute; z-index: 1; top: 6px; inset-inline-end: 6px; display: flex; border-radius: 8px; background: var(--surface); box-shadow: 0 0 0 1px var(--line); }
.tools .tool { width: 30px; height: 28px; }
.row:not(:hover, :focus-within) .tools { opacity: 0; }
.choice .time { color: var(--soft); }
.pill { position: sticky; z-index: 2; top: 6px; display: block; margin: 0 auto -30px; padding: 5px 14px; border-radius: 15px; background: var(--red); color: var(--red-dot-on-color, #fff); font-weight: 600; animation: pop .3s; }
.more, .end { width: 100%; padding: 14px; text-align: center; border-radius: 10px; }
.empty svg { width: 40px; stroke-width: 1.25; }
.banner { padding: 8px 16px; background: var(--sunken); }
.note { justify-content: space-between; margin: 0 10px 10px; padding: 10px 14px; border-radius: 10px; background: var(--ink); color: var(--surface); animation: stay 5s; }
.note button { font-weight: 650; text-decoration: underline; }
.switch { justify-content: space-between; width: 100%; padding: 9px 10px; border-radius: 8px; }
.switch:disabled { opacity: .45; cursor: default; }
.matrix { overflow: auto; overscroll-behavior: contain; }
table { width: 100%; border-spacing: 0; }
th { padding: 8px 10px; font-weight: 500; text-align: start; overflow-wrap: anywhere; }
thead th { padding-block: 4px; color: var(--soft); font-size: 12px; overflow-wrap: normal; }
thead th::first-letter { text-transform: uppercase; }
tr > * + * { width: 1px; padding-inline: 2px; text-align: center; }
tr > :first-child { position: sticky; z-index: 1; inset-inline-start: 0; min-width: 120px; background: var(--surface); }
tbody tr > * { border-top: 1px solid var(--line); }
td .switch { justify-content: center; padding: 11px 8px; }
th svg { display: inline; width: 14px; margin-inline-end: 4px; vertical-align: -2px; }
small { display: block; color: var(--soft); font-size: 12px; font-weight: 400; }
.hours { margin-top: 14px; }
.hours > :is(p, small) { display: flex; flex-wrap: wrap; gap: 4px 16px; padding: 4px 10px 8px; }
.hours label { flex: 1 1 150px; display: flex; align-items: center; justify-content: space-between; gap: 8px; max-width: 180px; }
select, input { max-width: 100%; padding: 4px 8px; border: 1px solid var(--line); border-radius: 8px; background: var(--surface); color: inherit; font: inherit; }
select { display: block; width: 0; min-width: min(100% + 12px, 170px); margin: 2px -5px -2px; padding: 2px 0; border-color: transparent; color: var(--soft); font-size: 12px; font-weight: 400; cursor: pointer; }
.switch i { flex: none; width: 34px; padding: 3px; border-radius: 10px; background: var(--soft); }
.switch i::before { content: ""; display: block; width: 14px; height: 14px; border-radius: 50%; background: var(--surface); }
[aria-checked=true] i { padding-inline-start: 17px; background: light-dark(#1a7f4b, #3fb67b); }
hr, h3, dl { margin: 14px 10px 8px; }
hr { border: 0; border-top: 1px solid var(--line); }
dl { display: grid; grid-template-columns: auto 1fr; gap: 8px 16px; color: var(--soft); }
kbd { padding: 2px 7px; border: 1px solid var(--line); border-radius: 6px; font-family: inherit; }
.footer { padding: 6px 16px; border-top: 1px solid var(--line); color: var(--soft); }
pre { max-height: 160px; overflow: auto; }
@keyframes stay { from { opacity: 0; } 3% { opacity: 1; } }
@keyframes slide { from { opacity: 0; transform: translateY(-10px); } }
@media (prefers-reduced-motion: reduce) { @keyframes stay { to { opacity: 1; } } }
@media (hover: none) { .tools { position: static; flex-direction: column; align-self: start; background: none; box-shadow: none; opacity: 1 !important; } }
@media (forced-colors: active) { .pill, .unread::before, [aria-checked=true] i { background: Highlight; color: HighlightText; forced-color-adjust: none; } [aria-selected=false] { border-color: Canvas; } }
`;

const sheet = new CSSStyleSheet();
sheet.replaceSync(CSS);

/** Give it to an element; again is as good as once. @param {import("../element.js").RedDotElement} element */
export function dress({ shadowRoot }) {
  const { adoptedStyleSheets } = /** @type {ShadowRoot} */ (shadowRoot);
  if (!adoptedStyleSheets.includes(sheet)) adoptedStyleSheets.push(sheet);
}
