// Helm, with which charts are tested, in the cache outside the working tree.
import fs from "node:fs";
import path from "node:path";
import { cacheDirectory } from "../fetch-envoy.mjs";
import { root, step } from "../pinned-node.mjs";
import { cached } from "./cached.mjs";
import { buildGoProgram } from "./go-program.mjs";
import { programPlace } from "./kit.mjs";

const directory = path.join(root, "tests", "kubernetes", "helm");
/** The package that go.mod names as a tool. */
const helmPackage = "helm.sh/helm/v3/cmd/helm";

const helmPlace = (cache) => programPlace("helm", cache, { directory, flags: "" });

/** The path of Helm; undefined unless it was built. */
export function findHelm(cache = cacheDirectory) {
  const place = helmPlace(cache);
  return fs.existsSync(place) ? place : undefined;
}

/** Builds Helm unless it is there. @returns its path; throws NoGo when there is no way to it */
export async function buildHelm(cache = cacheDirectory) {
  const place = helmPlace(cache);
  if (fs.existsSync(place)) return place;
  return step("Built Helm", () => cached(place, (file) => buildGoProgram(directory, file, "", helmPackage)));
}
