// The host's Node only starts npm scripts; everything else runs on the Node that the executable embeds.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Path of the pinned Node for an architecture (`x64` or `arm64`). */
export function pinnedNode(arch = process.arch) {
  const file = path.join(root, "node_modules", `node-linux-${arch}`, "bin", "node");
  if (!fs.existsSync(file)) {
    throw new Error(`${file} is missing: run "npm ci" on linux-x64 or linux-arm64, without --omit=optional`);
  }
  return file;
}

/**
 * Whether node_modules holds what package-lock.json names. By content, not by time: a checkout touches
 * the lockfile, and an installation for nothing would pull the modules from under a running session.
 */
function isInstalled() {
  const packages = (...file) => JSON.parse(fs.readFileSync(path.join(root, ...file), "utf8")).packages;
  const hidden = path.join("node_modules", ".package-lock.json");
  if (!fs.existsSync(path.join(root, hidden))) return false;
  const installed = packages(hidden);
  return Object.entries(packages("package-lock.json")).every(([name, { version, integrity, optional }]) => {
    const present = installed[name];
    // An optional package may be one for another machine.
    if (present === undefined) return name === "" || optional === true;
    return present.version === version && present.integrity === integrity;
  });
}

/** Installs what package-lock.json names, unless that has been done. */
export function ensureInstalled() {
  if (isInstalled()) return;
  console.log("Installing dependencies (npm ci)");
  const { status } = spawnSync("npm", ["ci", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (status !== 0) throw new Error("npm ci failed; its message stands above");
}

/** Runs a program on the pinned Node with this terminal; returns its exit code. */
export function runPinned(args, env = {}) {
  const { status } = spawnSync(pinnedNode(), args, { cwd: root, stdio: "inherit", env: { ...process.env, ...env } });
  return status ?? 1;
}

/** Does one step of a script and says how long it took. */
export async function step(text, body) {
  const start = performance.now();
  const result = await body();
  console.log(`${text} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  return result;
}

/** Runs a script's body; a failure is one line, since it is the user's to mend and not a bug to trace. */
export async function script(body) {
  try {
    process.exitCode = (await body()) ?? 0;
  } catch (error) {
    console.error(`Error: ${error.message}`);
    process.exitCode = 1;
  }
}
