// Combines a bundle and the pinned Node into one executable.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { architectures } from "./architectures.mjs";
import { strippedNode } from "./node-binary.mjs";
import { hideNodeVariables } from "./node-variables.mjs";

/** The marker by which Node finds an injected blob. It is split in two, so that no other file contains it. */
const fuse = `${"NODE_SEA"}_FUSE_fce680ab2cc467b6e072b8b5df1996b2`;

/** Injects the blob into a copy of Node with pkg's tool, which warns about section names that stripping removed. */
function inject(node, blob) {
  const pkg = createRequire(import.meta.url).resolve("@yao-pkg/pkg/lib-es5/sea.js");
  const postject = createRequire(pkg).resolve("postject/dist/cli.js");
  const words = [postject, node, "NODE_SEA_BLOB", blob, "--sentinel-fuse", fuse];
  const { status, error, stdout, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`injecting the program into Node failed: ${error?.message ?? stdout + stderr}`);
}

/** A code cache is only accepted with the same flags, so it has to be made with them as well. */
const v8Flags = [
  // By default V8 lets the space for new objects grow to 134 MB and keeps it: a third of what 1,000 connected proxies
  // take. A smaller one is no slower, as it fits the CPU cache.
  "--max-semi-space-size=8",
  // With much memory, V8 lets old objects take hundreds of megabytes before it first collects them, and keeps the
  // pages: a flood of requests in tiny chunks took 616 MB, with this flag 414 MB. It costs no time.
  "--initial-old-space-size=64",
];

const execArgv = [
  ...v8Flags,
  // Until main.ts handles SIGUSR1, Node opens its debugger on it, to every user of the machine. No machine can have
  // this address, so the debugger fails to open. --disable-sigusr1 would block the signal for good, also for our own
  // handler.
  "--inspect-port=240.0.0.1:0",
];

/** The command that runs a program of another architecture here, with an emulator. */
export function runWords(arch, node) {
  if (arch === process.arch) return [node];
  const { emulator, triplet } = architectures[arch];
  return [emulator, "-L", `/usr/${triplet}`, node];
}

/**
 * The path of the blob that Node finds in the executable: program, code cache, assets. V8 only accepts a code cache
 * from its own architecture, hence the emulator. pkg's own way to make the blob gives Node neither a seed nor relative
 * paths; without them the blob would depend on randomness and on the build directory.
 */
function makeBlob(node, arch, directory, main, assets) {
  const config = { main, output: "blob", disableExperimentalSEAWarning: true, useCodeCache: true, execArgv, assets };
  fs.writeFileSync(path.join(directory, "sea.json"), JSON.stringify(config));
  const [program, ...words] = runWords(arch, node);
  const args = [...words, ...v8Flags, "--random-seed=1", "--experimental-sea-config", "sea.json"];
  const { status, error, stderr } = spawnSync(program, args, { cwd: directory, encoding: "utf8" });
  if (status === 0) return path.join(directory, "blob");
  const reason = error?.message ?? stderr.trim();
  if (arch === process.arch) throw new Error(`Node could not prepare the executable: ${reason}`);
  const { debian } = architectures[arch];
  throw new Error(
    `Node for ${arch} could not be run here: ${reason}. ` +
      `It takes Debian's qemu-user-static, libc6-${debian}-cross and libstdc++6-${debian}-cross`,
  );
}

/**
 * Makes one executable, `output`, from the pinned Node and the CommonJS file `bundled`. `assets` are files to include,
 * by the name under which the program reads them. The same input gives the same bytes in any directory.
 */
export function executable(bundled, output, { assets = {}, arch = process.arch, mustStrip = false } = {}) {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-executable-"));
  try {
    const node = strippedNode(arch, work, { mustStrip });
    // Before injection, which uses up the free space.
    hideNodeVariables(node);
    fs.copyFileSync(bundled, path.join(work, "main.cjs"));
    for (const [name, file] of Object.entries(assets)) fs.copyFileSync(file, path.join(work, name));
    const names = Object.fromEntries(Object.keys(assets).map((name) => [name, name]));
    const blob = makeBlob(node, arch, work, "main.cjs", names);
    inject(node, blob);
    fs.copyFileSync(node, output);
    fs.chmodSync(output, 0o755);
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}
