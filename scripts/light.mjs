// Most programs start fast and stay small only because they never load what only kuma-cp needs.

const light = ["src/ctl/main.ts", "src/dp/main.ts", "src/echo/main.ts", "src/injector/main.ts", "src/redirect/main.ts"];
const heavy =
  /node_modules\/(@grpc|@kubernetes|google-protobuf|@bufbuild\/protobuf|immutable|jsonwebtoken|prom-client|re2js)\/|proto-gen\//;

/** Every module that `entry` reaches by imports of these kinds, with the module that imports it. */
function reached({ inputs }, entry, follow) {
  const importers = new Map([[entry, undefined]]);
  for (const file of importers.keys()) {
    for (const { path: imported, kind } of inputs[file]?.imports ?? []) {
      if (follow(kind) && !importers.has(imported)) importers.set(imported, file);
    }
  }
  return importers;
}

/**
 * Rejects a bundle in which a light program can load heavy packages, or in which the entry point loads more than lib
 * eagerly: one static import is enough to undo the lazy imports of the same module. Everything that reads settings
 * knows the kinds of stores, so what a store needs when it is opened must not come with the list. `metafile` is
 * esbuild's, of src/main.ts.
 */
export function assertLight(metafile) {
  for (const entry of light) {
    for (const [file, importer] of reached(metafile, entry, () => true)) {
      if (heavy.test(file)) throw new Error(`${entry} reaches ${file} through ${importer}: only kuma-cp may load it`);
    }
  }
  const atOnce = (kind) => kind !== "dynamic-import";
  for (const [file, importer] of reached(metafile, "src/store/kinds.ts", atOnce)) {
    if (!file.startsWith("node_modules/")) continue;
    throw new Error(`the list of stores would load ${file}, through ${importer}: a kind opens by import()`);
  }
  for (const [file, importer] of reached(metafile, "src/main.ts", atOnce)) {
    if (/^(src\/(main\.ts$|lib\/)|node:|<define:)/.test(file)) continue;
    throw new Error(`every program would load ${file} at start, through ${importer}: import it lazily`);
  }
}
