/**
 * Bundle the client into one file, and refuse one that has grown beyond its budget.
 *
 *     node build.js [OUTPUT]     default: what the wheel ships and the server serves
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { argv, exit } from "node:process";
import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** What a page pays, compressed: 6 KiB for the client, and 1 KiB more for one with an inbox. */
const BYTES_MAX = { Client: 6 * 1024, Reddot: 7 * 1024 };
const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));

/** @param {string} source what a page imports */
async function bundle(source) {
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: here(".") },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  return outputFiles[0].contents;
}

for (const [name, most] of Object.entries(BYTES_MAX)) {
  const size = gzipSync(await bundle(`export { ${name} } from "./src/index.js"`), { level: 9 }).length;
  console.log(`${name}: ${size} of ${most} bytes, compressed`);
  if (size > most) exit(1);
}

const output = argv[2] ?? here("../src/reddot/static/reddot.js");
mkdirSync(dirname(output), { recursive: true });
writeFileSync(output, await bundle('export * from "./src/index.js"'));
