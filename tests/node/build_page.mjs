/** Bundle one of the pages: node build_page.mjs react|vue|svelte, to standard output. */

import { readFileSync } from "node:fs";
import { argv, stdout } from "node:process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { compile } from "svelte/compiler";

const svelte = {
  name: "svelte",
  setup({ onLoad }) {
    onLoad({ filter: /\.svelte$/ }, ({ path }) => ({
      contents: compile(readFileSync(path, "utf8"), { filename: path, css: "external" }).js.code,
    }));
  },
};
const { outputFiles } = await build({
  entryPoints: [fileURLToPath(new URL(`pages/${argv[2]}.js`, import.meta.url))],
  bundle: true,
  minify: true,
  format: "esm",
  conditions: ["browser", "svelte"],
  define: {
    "process.env.NODE_ENV": '"production"',
    __VUE_OPTIONS_API__: "false",
    __VUE_PROD_DEVTOOLS__: "false",
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false",
  },
  plugins: [svelte],
  write: false,
});
stdout.write(outputFiles[0].contents);
