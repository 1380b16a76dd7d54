// The host's Node only starts npm scripts; everything else runs on the Node that the executable embeds.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** The path of the pinned Node for an architecture (`x64` or `arm64`). */
export function pinnedNode(arch = process.arch) {
  const file = path.join(root, "node_modules", `node-linux-${arch}`, "bin", "node");
  if (!fs.existsSync(file)) {
    throw new Error(`${file} is missing: run "npm ci" on linux-x64 or linux-arm64, without --omit=optional`);
  }
  return file;
}

/**
 * Whether node_modules matches package-lock.json. Compares content, not times: a checkout touches the lockfile, and an
 * unnecessary installation would remove the modules of a running process.
 */
function isInstalled() {
  const packages = (...file) => JSON.parse(fs.readFileSync(path.join(root, ...file), "utf8")).packages;
  const hidden = path.join("node_modules", ".package-lock.json");
  if (!fs.existsSync(path.join(root, hidden))) return false;
  const installed = packages(hidden);
  return Object.entries(packages("package-lock.json")).every(([name, { version, integrity, optional }]) => {
    const present = installed[name];
    // An optional package may be for another architecture.
    if (present === undefined) return name === "" || optional === true;
    return present.version === version && present.integrity === integrity;
  });
}

/** Installs the packages in package-lock.json unless they are installed. */
export function ensureInstalled() {
  if (isInstalled()) return;
  console.log("Installing dependencies (npm ci)");
  const { status } = spawnSync("npm", ["ci", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (status !== 0) throw new Error("npm ci failed; its message stands above");
}

/** Runs a program on the pinned Node in this terminal. Returns its exit code. */
export function runPinned(args, env = {}) {
  const { status } = spawnSync(pinnedNode(), args, { cwd: root, stdio: "inherit", env: { ...process.env, ...env } });
  return status ?? 1;
}

/** Runs one step of a script and prints how long it took. */
export async function step(text, body) {
  const start = performance.now();
  const result = await body();
  console.log(`${text} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  return result;
}

/**
 * Runs a script's body. A failure is printed in one line, because the user has to fix it: it is not a bug that needs a
 * trace.
 */
export async function script(body) {
  try {
    process.exitCode = (await body()) ?? 0;
  } catch (error) {
    console.error(`Error: ${error.message}`);
    process.exitCode = 1;
  }
}
