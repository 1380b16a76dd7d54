// The shared libraries that programs need, including those that the libraries need themselves.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

/** What an ELF file asks of the dynamic loader: the loader's own path (for a program) and the libraries. */
function dynamicFacts(file) {
  const { status, error, stdout, stderr } = spawnSync("readelf", ["-ld", "-W", file], { encoding: "utf8" });
  if (status !== 0) throw new Error(`readelf, of Debian's binutils, on ${file}: ${error?.message ?? stderr.trim()}`);
  return {
    loader: /\[Requesting program interpreter: ([^\]]+)\]/.exec(stdout)?.[1],
    needed: [...stdout.matchAll(/\(NEEDED\).*\[([^\]]+)\]/g)].map(([, name]) => name),
  };
}

/**
 * The libraries that `programs` need, from the unpacked packages in `directory`: a map from name to path, and the path
 * at which the programs expect the loader. Throws when a library is in none of the packages.
 */
export function sharedLibraries(programs, directory, triplet) {
  const places = ["lib", "usr/lib"].map((place) => path.join(directory, place, triplet));
  const found = new Map();
  const loaders = new Set();
  const queue = [...programs];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    const { loader, needed } = dynamicFacts(file);
    if (loader !== undefined && programs.includes(file)) loaders.add(loader);
    for (const name of needed) {
      if (found.has(name)) continue;
      const place = places.map((directory) => path.join(directory, name)).find((candidate) => fs.existsSync(candidate));
      if (place === undefined)
        throw new Error(`${path.basename(file)} needs ${name}, which is in none of the packages`);
      found.set(name, fs.realpathSync(place));
      queue.push(found.get(name));
    }
  }
  if (loaders.size !== 1)
    throw new Error(`the programs name ${loaders.size} dynamic loaders: ${[...loaders].join(", ")}`);
  const [loader] = loaders;
  return { libraries: found, loader };
}
