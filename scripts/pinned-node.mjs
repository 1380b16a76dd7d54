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

/** Installs what package-lock.json names, unless that has been done for this very lockfile. */
export function ensureInstalled() {
  const lock = path.join(root, "package-lock.json");
  const installed = path.join(root, "node_modules", ".package-lock.json");
  if (fs.existsSync(installed) && fs.statSync(installed).mtimeMs >= fs.statSync(lock).mtimeMs) return;
  console.log("Installing dependencies (npm ci)");
  const { status } = spawnSync("npm", ["ci", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (status !== 0) throw new Error("npm ci failed; its message stands above");
  fs.utimesSync(installed, new Date(), new Date());
}

/** Runs a program on the pinned Node with this terminal; returns its exit code. */
export function runPinned(args, env = {}) {
  const { status } = spawnSync(pinnedNode(), args, { cwd: root, stdio: "inherit", env: { ...process.env, ...env } });
  return status ?? 1;
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
