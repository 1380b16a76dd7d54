// Builds one bundle with what every program needs, and others for what few of them load. A sidecar must not have the
// control plane's code in its memory, and V8 keeps the whole text of a script while one of its functions is alive.
import fs from "node:fs";
import path from "node:path";
import { assertLight } from "./light.mjs";
import { root } from "./pinned-node.mjs";
import { stamp } from "./stamp.mjs";

/**
 * The modules that get a bundle of their own, each with the one module that imports them, lazily. What they export are
 * functions. Classes are not shared between bundles, so that `instanceof` is false across them.
 */
const apart = [
  { name: "kuma-cp", module: "src/cp/main.ts", importer: "src/main.ts", functions: ["main"] },
  {
    name: "kubeconfig",
    module: "src/kubeapi/kubeconfig.ts",
    importer: "src/kubeapi/credentials.ts",
    functions: ["loadKubeconfig"],
  },
];

/** Stands for such a module in other bundles: loads its bundle from the executable, once and on demand. */
const loader = (file, functions) => `
import { createRequire } from "node:module";
import { getAsset, isSea } from "node:sea";
import vm from "node:vm";

let loaded;
function load() {
  if (loaded !== undefined) return loaded;
  if (!isSea()) throw new Error("${file} is inside the executable only");
  const text = "(function (exports, require, module) {" + getAsset("${file}", "utf8") + "\\n})";
  const module = { exports: {} };
  const run = vm.runInThisContext(text, { filename: "${file}" });
  run(module.exports, createRequire(process.execPath), module);
  loaded = module.exports;
  return loaded;
}

${functions.map((name) => `export const ${name} = (...args) => load().${name}(...args);`).join("\n")}
`;

const fileOf = ({ name }) => `${name}.cjs`;

const separate = {
  name: "bundles apart",
  setup(build) {
    build.onResolve({ filter: /^\./ }, ({ path: target, importer, resolveDir, kind }) => {
      if (kind !== "dynamic-import") return undefined;
      const module = path.relative(root, path.resolve(resolveDir, target)).replace(/\.js$/, ".ts");
      const found = apart.find((one) => one.module === module && one.importer === path.relative(root, importer));
      return found === undefined ? undefined : { path: found.name, namespace: "apart" };
    });
    build.onLoad({ filter: /.*/, namespace: "apart" }, ({ path: wanted }) => {
      const found = apart.find(({ name }) => name === wanted);
      return { contents: loader(fileOf(found), found.functions), loader: "js" };
    });
  },
};

/**
 * Bundles src/main.ts, and what is apart from it, into `directory`.
 * @returns the file of the first bundle, the files of the others by the name under which the first one loads them, and
 * the paths of all sources, relative to the repository
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
    plugins: [separate],
    define: { __BUILD__: JSON.stringify(stamp()) },
  };
  fs.mkdirSync(directory, { recursive: true });
  const door = path.join(directory, "kuma.cjs");
  const first = await build({ ...common, entryPoints: ["src/main.ts"], outfile: door });
  assertLight(first.metafile);
  const built = [first];
  const assets = {};
  for (const one of apart) {
    const outfile = path.join(directory, fileOf(one));
    // A script that is run by vm has no import(): esbuild then emits require() for what stays outside the bundle.
    const supported = { "dynamic-import": false };
    built.push(await build({ ...common, entryPoints: [one.module], outfile, supported }));
    assets[fileOf(one)] = outfile;
  }
  const outputs = built.flatMap(({ metafile }) => Object.values(metafile.outputs));
  const used = outputs.flatMap(({ inputs }) => Object.keys(inputs).filter((file) => inputs[file].bytesInOutput > 0));
  return { door, assets, sources: [...new Set(used)].filter((file) => !file.startsWith("apart:")).sort() };
}
