// Builds two bundles: one with what every program needs, and one for kuma-cp. A sidecar must not have the control
// plane's code in its memory, and V8 keeps the whole text of a script while one of its functions is alive.
import fs from "node:fs";
import path from "node:path";
import { assertLight } from "./light.mjs";
import { root } from "./pinned-node.mjs";
import { stamp } from "./stamp.mjs";

/** The module of src/main.ts's lazy import that gets its own bundle. */
const controlPlane = "src/cp/main.ts";

/** Replaces the second bundle in the first one: loads it from the executable on demand. */
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
 * @returns both files, and the paths of all their sources, relative to the repository
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
  // A script that is run by vm has no import(): esbuild then emits require() for what stays outside the bundle.
  const supported = { "dynamic-import": false };
  const second = await build({ ...common, entryPoints: [controlPlane], outfile: cp, supported });
  const outputs = [first, second].flatMap(({ metafile }) => Object.values(metafile.outputs));
  const used = outputs.flatMap(({ inputs }) => Object.keys(inputs).filter((file) => inputs[file].bytesInOutput > 0));
  return { door, cp, sources: [...new Set(used)].sort() };
}
