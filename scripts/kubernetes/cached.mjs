// Build results of the Kubernetes test cluster in the cache outside the working tree.
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { cacheDirectory } from "../fetch-envoy.mjs";

/**
 * A hash of texts, and of files and directories by their absolute paths: content and relative names count.
 * @param {{ texts?: readonly string[], files?: readonly string[] }} inputs
 */
export function hashOf({ texts = [], files = [] }) {
  const hash = createHash("sha256").update(JSON.stringify(texts));
  for (const place of files) {
    const names = fs.statSync(place).isDirectory() ? fs.readdirSync(place, { recursive: true }).sort() : [""];
    for (const name of names) {
      const file = path.join(place, name);
      if (fs.statSync(file).isFile()) hash.update(`\n${path.basename(place)}/${name}\n`).update(fs.readFileSync(file));
    }
  }
  return hash.digest("hex").slice(0, 16);
}

/** Where the result called `name`, made from inputs with this hash, is or will be. */
export const placeOf = (name, hash, cache = cacheDirectory) => path.join(cache, `kubernetes-${name}-${hash}`);

/**
 * Makes a file or directory of the cache unless it is there. `make` gets a path to write to; the result appears under
 * its final name complete or not at all, even when two processes make it at the same time.
 */
export async function cached(place, make) {
  if (fs.existsSync(place)) return place;
  fs.mkdirSync(path.dirname(place), { recursive: true });
  const work = fs.mkdtempSync(path.join(path.dirname(place), "kubernetes-work-"));
  try {
    const result = path.join(work, "result");
    await make(result);
    try {
      fs.renameSync(result, place);
    } catch (error) {
      // A directory can't replace another one: somebody else was faster, with the same inputs.
      if (!fs.existsSync(place)) throw error;
    }
    return place;
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}
