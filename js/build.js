/**
 * Bundle the client into one file, and what is loaded by itself into others beside it; refuse what
 * has grown beyond its budget.
 *
 *     node build.js [OUTPUT]     default: what the wheel ships and the server serves
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { argv, exit } from "node:process";
import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** What a page pays, compressed: 6 KiB for the client, and 1 KiB more for one with an inbox. */
const BYTES_MAX = { Client: 6 * 1024, Reddot: 7 * 1024 };
/** What else is served beside the client, by file: source, format and budget. @type {[string, string, "esm" | "iife", number][]} */
const BESIDE = [
  ["reddot-push.js", 'export * from "./src/push/index.js"', "esm", 2.5 * 1024],
  ["reddot-sw.js", 'import "./src/push/sw.js"', "iife", 2 * 1024],
];
const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));

/**
 * @param {string} source what a page imports
 * @param {"esm" | "iife"} [format]
 */
async function bundle(source, format = "esm") {
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: here(".") },
    bundle: true,
    minify: true,
    format,
    target: "es2022",
    write: false,
  });
  return outputFiles[0].contents;
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

for (const [name, most] of Object.entries(BYTES_MAX)) {
  check(name, await bundle(`export { ${name} } from "./src/index.js"`), most);
}

const output = argv[2] ?? here("../src/reddot/static/reddot.js");
mkdirSync(dirname(output), { recursive: true });
writeFileSync(output, await bundle('export * from "./src/index.js"'));
for (const [file, source, format, most] of BESIDE) {
  const contents = await bundle(source, format);
  check(file, contents, most);
  writeFileSync(join(dirname(output), file), contents);
}
