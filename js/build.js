/**
 * Bundle the client into one file, and what is loaded by itself into others beside it; refuse what
 * has grown beyond its budget.
 *
 *     node build.js [OUTPUT]     default: what the wheel ships and the server serves
 */

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { argv, exit } from "node:process";
import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";
import { minify } from "terser";
import * as parts from "./src/element/parts.js";

/** What a page pays before it is live, in bytes, compressed, by what it imports from the package; and what that loads later. */
const BYTES_MAX = {
  'export { Client } from "./src/index.js"': 4_900,
  'export * from "./src/index.js"': 6_000,
  'export * from "./src/tabs.js"': 1_000,
  'export * from "./src/transports/loaded.js"': 1_700,
};
/** The file that is served: the client, with all that it would load later, and the elements. */
const SERVED = 'export * from "./src/index.js"; export * from "./src/element/index.js"; import "./src/element/define.js"';
const SERVED_MAX = 15_000;
/** What that loads by itself: how notifications look, in a panel and as toasts. */
const INSIDE = 'import { beep, choose, dot, Inside, toasts } from "./src/element/inside/index.js"; give({ beep, choose, dot, Inside, toasts })';
const INSIDE_MAX = 11_500;
/** What a client loads by itself, for Web Push; pages may import it as well. */
const PUSH = 'export * from "./src/push/index.js"';
const PUSH_MAX = 2_200;
/** What else is served beside the client, by file: source, format and budget. @type {[string, string, "esm" | "iife", number][]} */
const BESIDE = [
  ["reddot-mqtt.js", 'export * from "./src/transports/mqtt.js"', "esm", 1_250],
  ["reddot-diagnose.js", 'export * from "./src/diagnose.js"', "esm", 3_250],
  ["reddot-sw.js", 'import "./src/push/sw.js"', "iife", 1_400],
];
/** @type {import("esbuild").Plugin} */
const minifyStyles = {
  name: "minify styles",
  setup({ onLoad }) {
    onLoad({ filter: /element.*styles\.js$/ }, async ({ path }) => {
      const [before, css, after] = readFileSync(path, "utf8").split(/(?<=CSS = )`|`(?=;)/);
      const { code } = await transform(css, { loader: "css", minify: true });
      return { contents: before + JSON.stringify(code.trim()) + after };
    });
  },
};
/** The served file loads the inside, and Web Push, from beside it, and else nothing of the client. @type {import("esbuild").Plugin} */
const besideIt = {
  name: "load from beside",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/(push\/)?load\.js$/ }, () => ({ path: here("served.js") }));
    onResolve({ filter: /\/later\.js$/ }, () => ({ path: here("whole.js") }));
  },
};
/** The inside is given what the served file has already. @type {import("esbuild").Plugin} */
const givenParts = {
  name: "parts are given",
  setup: ({ onLoad }) => onLoad({ filter: /element.parts\.js$/ }, () => ({ contents: `export const { ${Object.keys(parts)} } = parts;` })),
};
const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));

/** What the client loads when it needs it is no part of it. @type {import("esbuild").Plugin} */
const lazy = {
  name: "lazy",
  setup({ onResolve }) {
    onResolve({ filter: /./ }, ({ kind, path }) =>
      kind === "dynamic-import" ? { path: path.replace("diagnose", "reddot-diagnose"), external: true } : undefined,
    );
  },
};

/**
 * @param {string} source what a page imports
 * @param {{format?: "esm" | "iife", plugins?: import("esbuild").Plugin[], define?: Record<string, string>}} [options]
 */
async function bundle(source, { format = "esm", plugins = [], define } = {}) {
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: here(".") },
    bundle: true,
    minify: true,
    format,
    target: "es2022",
    write: false,
    define,
    plugins: [minifyStyles, lazy, ...plugins],
  });
  const options = { module: format === "esm", ecma: /** @type {const} */ (2020), compress: { passes: 3 } };
  const { code } = await minify(outputFiles[0].text, options);
  return Buffer.from(/** @type {string} */ (code));
}

/**
 * @param {string} name
 * @param {Uint8Array} contents
 * @param {number} most
 */
function check(name, contents, most) {
  const size = gzipSync(contents, { level: 9 }).length;
  console.log(`${name}: ${size} of ${most} bytes, compressed`);
  if (size > most) exit(1);
}

for (const [source, most] of Object.entries(BYTES_MAX)) check(source, await bundle(source), most);

const output = argv[2] ?? here("../src/reddot/static/reddot.js");
mkdirSync(dirname(output), { recursive: true });
/**
 * @param {string} file
 * @param {Uint8Array} contents
 * @param {number} most
 */
function ship(file, contents, most) {
  check(file, contents, most);
  writeFileSync(join(dirname(output), file), contents);
}
const inside = Buffer.from(`export default(parts,give)=>{${await bundle(INSIDE, { plugins: [givenParts] })}};`);
const push = await bundle(PUSH);
const digest = (/** @type {Uint8Array} */ contents) => JSON.stringify(`sha384-${createHash("sha384").update(contents).digest("base64")}`);
ship("reddot-inbox.js", inside, INSIDE_MAX);
ship("reddot-push.js", push, PUSH_MAX);
const define = { REDDOT_INBOX: digest(inside), REDDOT_PUSH: digest(push) };
ship("reddot.js", await bundle(SERVED, { plugins: [besideIt], define }), SERVED_MAX);
for (const [file, source, format, most] of BESIDE) ship(file, await bundle(source, { format }), most);
