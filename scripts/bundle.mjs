// Two bundles: what every program needs, and kuma-cp. A sidecar must not carry the control plane's code in
// its memory, and V8 keeps the whole text of a script for as long as one of its functions lives.
import fs from "node:fs";
import path from "node:path";
import { assertLight } from "./light.mjs";
import { root } from "./pinned-node.mjs";
import { stamp } from "./stamp.mjs";

/** The module of src/main.ts's lazy import that goes into a bundle of its own. */
const controlPlane = "src/cp/main.ts";

/** Stands in the first bundle for the second one: reads it out of the executable when it is asked for. */
const loader = `
import { createRequire } from "node:module";
import { getAsset, isSea } from "node:sea";
import vm from "node:vm";

function load() {
  if (!isSea()) throw new Error("the control plane's bundle is inside the executable only");
  const text = "(function (exports, require, module) {" + getAsset("kuma-cp.cjs", "utf8") + "\\n})";
  const module = { exports: {} };
  const run = vm.runInThisContext(text, { filename: "kuma-cp.cjs" });
  run(module.exports, createRequire(process.execPath), module);
  return module.exports;
}

export const main = (args) => load().main(args);
`;

const separate = {
  name: "control plane apart",
  setup(build) {
    build.onResolve({ filter: /^\.\/cp\/main\.js$/ }, ({ importer, kind }) =>
      kind === "dynamic-import" && importer.endsWith(path.join("src", "main.ts"))
        ? { path: "kuma-cp", namespace: "apart" }
        : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: "apart" }, () => ({ contents: loader, loader: "js" }));
  },
};

/**
 * Bundles src/main.ts and src/cp/main.ts into `directory`.
 * @returns both files, and the paths, relative to the repository, of all that they were made of
 */
export async function bundle(directory) {
  const { build } = await import("esbuild");
  const common = {
    absWorkingDir: root,
    bundle: true,
    minify: true,
    lineLimit: 200,
    platform: "node",
    target: "node24",
    format: "cjs",
    metafile: true,
    logLevel: "error",
    define: { __BUILD__: JSON.stringify(stamp()) },
  };
  fs.mkdirSync(directory, { recursive: true });
  const door = path.join(directory, "kuma.cjs");
  const cp = path.join(directory, "kuma-cp.cjs");
  const first = await build({ ...common, entryPoints: ["src/main.ts"], outfile: door, plugins: [separate] });
  assertLight(first.metafile);
  // A script that vm runs has no import(): esbuild then writes require() for what stays outside the bundle.
  const supported = { "dynamic-import": false };
  const second = await build({ ...common, entryPoints: [controlPlane], outfile: cp, supported });
  const outputs = [first, second].flatMap(({ metafile }) => Object.values(metafile.outputs));
  const used = outputs.flatMap(({ inputs }) => Object.keys(inputs).filter((file) => inputs[file].bytesInOutput > 0));
  return { door, cp, sources: [...new Set(used)].sort() };
}
