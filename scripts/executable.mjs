// A bundle and the pinned Node as one executable.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { architectures } from "./architectures.mjs";
import { strippedNode } from "./node-binary.mjs";
import { hideNodeVariables } from "./node-variables.mjs";

/** By this mark Node knows where a blob was injected; in two parts, so that it stands in no other file. */
const fuse = `${"NODE_SEA"}_FUSE_fce680ab2cc467b6e072b8b5df1996b2`;

/** Puts the blob into a copy of Node, by the tool that pkg has for it; it warns of section names that stripping took. */
function inject(node, blob) {
  const pkg = createRequire(import.meta.url).resolve("@yao-pkg/pkg/lib-es5/sea.js");
  const postject = createRequire(pkg).resolve("postject/dist/cli.js");
  const words = [postject, node, "NODE_SEA_BLOB", blob, "--sentinel-fuse", fuse];
  const { status, error, stdout, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`injecting the program into Node failed: ${error?.message ?? stdout + stderr}`);
}

/** Part of what a code cache is accepted for: it has to be made with them as well. */
const v8Flags = [
  // V8 lets the space for new objects grow to 134 MB by itself and keeps it: a third of what 1,000 connected proxies
  // take. A smaller one is no slower, as it stays in the processor's cache.
  "--max-semi-space-size=8",
  // Where there is much memory, V8 lets old objects take hundreds of megabytes before it collects them for the first
  // time, and keeps the pages: a flood of requests in tiny chunks took 616 MB, with this 414 MB. It costs no time.
  "--initial-old-space-size=64",
];

const execArgv = [
  ...v8Flags,
  // Until main.ts listens to SIGUSR1, Node opens its debugger on it, to every user of the machine. This address is
  // none that a machine can have, so the debugger fails to open. --disable-sigusr1 would block the signal for good,
  // for our own listener too.
  "--inspect-port=240.0.0.1:0",
];

/** The words that run a program of another kind of machine here, by an emulator. */
export function runWords(arch, node) {
  if (arch === process.arch) return [node];
  const { emulator, triplet } = architectures[arch];
  return [emulator, "-L", `/usr/${triplet}`, node];
}

/**
 * Path of the blob that Node finds in the executable: program, code cache, assets. V8 takes a code cache only from
 * its own kind of machine, hence the emulator. pkg's own way to the blob gives Node neither a seed nor relative
 * paths; without them chance and the directory of the build get into its bytes.
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
 * Makes one executable, `output`, of the pinned Node and the CommonJS file `bundled`. `assets` are files that it
 * carries along, by the name it reads them under. The same input gives the same bytes, wherever it lies.
 */
export function executable(bundled, output, { assets = {}, arch = process.arch, mustStrip = false } = {}) {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-executable-"));
  try {
    const node = strippedNode(arch, work, { mustStrip });
    // Before injection, which takes the room that there is.
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
