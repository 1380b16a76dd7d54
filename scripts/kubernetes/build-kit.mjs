// Builds the kit.
import fs from "node:fs";
import path from "node:path";
import { architectures } from "../architectures.mjs";
import { cacheDirectory } from "../fetch-envoy.mjs";
import { step } from "../pinned-node.mjs";
import { cached } from "./cached.mjs";
import { unpackDebianRoot } from "./debian-root.mjs";
import { buildGoProgram } from "./go-program.mjs";
import { writeNodeImage } from "./images.mjs";
import { findKit, goPrograms, imageName, packagesFile, partsIn, sources } from "./kit.mjs";

/** Builds what is missing of the kit. Throws NoGo when there is no way to the Go programs. */
export async function buildKit(cache = cacheDirectory) {
  const { parts, imageFiles } = partsIn(cache);
  const make = async (name, place, build) => {
    if (!fs.existsSync(place)) await step(`Built ${name} of the Kubernetes cluster`, () => cached(place, build));
  };
  const packages = JSON.parse(fs.readFileSync(packagesFile, "utf8"));
  for (const [name, flags] of Object.entries(goPrograms)) {
    await make(name, parts[name], (file) => buildGoProgram(path.join(sources, name), file, flags));
  }
  await make("root", parts.root, (directory) =>
    unpackDebianRoot(packages, architectures[process.arch].debian, directory),
  );
  for (const [name, place] of Object.entries(imageFiles)) {
    await make(`image ${imageName(name)}`, place, (file) => writeNodeImage(name, parts, file));
  }
  return findKit(cache);
}
