// The pinned Node for each supported architecture, without symbols.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { architectures } from "./architectures.mjs";
import { cacheDirectory } from "./fetch-envoy.mjs";
import { pinnedNode, root } from "./pinned-node.mjs";

function run(program, args, options = {}) {
  const { status, error, stderr } = spawnSync(program, args, { encoding: "utf8", ...options });
  if (status !== 0) throw new Error(`${program} ${args[0]}: ${error?.message ?? stderr.trim()}`);
}

/** npm's package of Node for another architecture, verified against package-lock.json as npm would; cached. */
function packedNode(arch) {
  const name = `node-linux-${arch}`;
  const lock = JSON.parse(fs.readFileSync(path.join(root, "package-lock.json"), "utf8"));
  const { version, integrity } = lock.packages[`node_modules/${name}`];
  const archive = path.join(cacheDirectory, `${name}-${version}.tgz`);
  if (!fs.existsSync(archive)) {
    fs.mkdirSync(cacheDirectory, { recursive: true });
    const work = fs.mkdtempSync(path.join(cacheDirectory, "fetch-"));
    try {
      run("npm", ["pack", "--silent", `${name}@${version}`], { cwd: work });
      fs.renameSync(path.join(work, path.basename(archive)), archive);
    } finally {
      fs.rmSync(work, { recursive: true, force: true });
    }
  }
  const [algorithm, expected] = integrity.split(/-(.*)/s);
  const actual = createHash(algorithm).update(fs.readFileSync(archive)).digest("base64");
  if (actual === expected) return archive;
  throw new Error(
    `${archive} is not the package that package-lock.json names: its ${algorithm} is ${actual}, ` +
      `expected ${expected}. Delete the file to have it fetched again.`,
  );
}

/** npm only installs the package for this machine. */
function placeNode(arch, directory) {
  const file = path.join(directory, "node");
  if (arch === process.arch) fs.copyFileSync(pinnedNode(), file);
  else run("tar", ["-xzf", packedNode(arch), "-C", directory, "--strip-components=2", "package/bin/node"]);
  return file;
}

/**
 * Copies the pinned Node for an architecture into `directory`, strips it, and returns its path. Stripping must come
 * before injection, because afterwards it breaks the executable. Without the tool for it, Node stays unstripped, or
 * with `mustStrip` an error is thrown.
 */
export function strippedNode(arch, directory, { mustStrip }) {
  const node = placeNode(arch, directory);
  const { triplet } = architectures[arch];
  const [tool, tools] =
    arch === process.arch ? ["strip", "binutils"] : [`${triplet}-strip`, `binutils-${triplet.replaceAll("_", "-")}`];
  if (spawnSync(tool, [node], { stdio: "ignore" }).status !== 0) {
    if (mustStrip) throw new Error(`Node for ${arch} has to be stripped, and ${tool} is missing (in Debian: ${tools})`);
    console.log("  strip is not installed: the executable will be some 18 MB larger");
  }
  return node;
}
