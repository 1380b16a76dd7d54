// What a Kubernetes cluster on this machine is made of, in the cache outside the working tree.
import fs from "node:fs";
import path from "node:path";
import { cacheDirectory } from "../fetch-envoy.mjs";
import { root } from "../pinned-node.mjs";
import { hashOf, placeOf } from "./cached.mjs";
import { goVersion } from "./go-program.mjs";

export const sources = path.join(root, "tests", "kubernetes", "node");
const scripts = path.join(root, "scripts", "kubernetes");

/** The version of the Kubernetes modules in the node's go.mod, such as `v1.37.2`. */
export const kubernetesVersion =
  /^\s*k8s\.io\/kubernetes (v\S+)$/m.exec(fs.readFileSync(path.join(sources, "components", "go.mod"), "utf8"))?.[1] ??
  "";

function versionFlags() {
  const [major, minor] = kubernetesVersion.slice(1).split(".");
  const values = { gitVersion: kubernetesVersion, gitMajor: major, gitMinor: minor };
  return Object.entries(values)
    .map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`)
    .join(" ");
}

/** Linker flags of each Go program; the directories of its source are called the same. */
export const goPrograms = { pause: "", components: versionFlags(), dns: "" };

/**
 * Go's version is part of a program's name in the cache, so that a newer Go builds anew. Without Go, whatever was built
 * from the same sources is right.
 */
export function programPlace(name, cache, { directory = path.join(sources, name), flags = goPrograms[name] } = {}) {
  const hash = hashOf({ texts: [process.arch, flags], files: [directory] });
  const version = goVersion()?.split(" ")[0];
  if (version !== undefined) return placeOf(name, `${hash}-${version}`, cache);
  const prefix = path.basename(placeOf(name, hash, cache));
  const built = fs.existsSync(cache) ? fs.readdirSync(cache).filter((file) => file.startsWith(`${prefix}-`)) : [];
  return path.join(cache, built.sort().at(-1) ?? prefix);
}

export const packagesFile = path.join(sources, "debian-packages.json");

function rootPlace(cache) {
  const release = /^VERSION_CODENAME=(\w+)$/m.exec(fs.readFileSync("/etc/os-release", "utf8"))?.[1] ?? "unknown";
  const files = [packagesFile, path.join(scripts, "debian-root.mjs")];
  return placeOf("root", hashOf({ texts: [process.arch, release], files }), cache);
}

/** The images in every cluster, and the part that each is made of; the node can't pull any. */
const imageParts = { pause: "pause", dns: "dns", busybox: "root" };

/** The paths of everything, whether it is there or not. */
export function partsIn(cache) {
  const programs = Object.fromEntries(Object.keys(goPrograms).map((name) => [name, programPlace(name, cache)]));
  /** @type {Record<"pause" | "components" | "dns" | "root", string>} */
  const parts = { ...programs, root: rootPlace(cache) };
  const files = Object.entries(imageParts).map(([name, part]) => {
    const hash = hashOf({ texts: [path.basename(parts[part])], files: [path.join(scripts, "images.mjs")] });
    return [name, `${placeOf(`image-${name}`, hash, cache)}.tar`];
  });
  return { parts, imageFiles: Object.fromEntries(files) };
}

/** The name by which pods run one of these images. */
export const imageName = (name) => `localhost/${name}:1`;

/**
 * `kit` if it is complete, else `missing` names its missing parts. `kit.components` is the program of all components,
 * `kit.root` the directory of unpacked Debian packages, and `kit.images` has the archive of each image. An API server
 * without a node needs no more than `components`.
 */
export function findKit(cache = cacheDirectory) {
  const { parts, imageFiles } = partsIn(cache);
  const images = Object.fromEntries(Object.entries(imageFiles).map(([name, file]) => [`image of ${name}`, file]));
  const missing = Object.entries({ ...parts, ...images }).flatMap(([name, file]) =>
    fs.existsSync(file) ? [] : [name],
  );
  const components = missing.includes("components") ? undefined : parts.components;
  if (missing.length > 0) return { components, missing };
  return { components, kit: { components: parts.components, root: parts.root, images: imageFiles }, missing };
}
