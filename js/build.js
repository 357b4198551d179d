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

const BYTES_GZIP_MAX = 7_300;
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

const client = await bundle('export { Reddot } from "./src/index.js"');
const size = gzipSync(client, { level: 9 }).length;
console.log(`client: ${size} of ${BYTES_GZIP_MAX} bytes, compressed`);
if (size > BYTES_GZIP_MAX) exit(1);

const output = argv[2] ?? here("../src/reddot/static/reddot.js");
mkdirSync(dirname(output), { recursive: true });
writeFileSync(output, await bundle('export * from "./src/index.js"'));
