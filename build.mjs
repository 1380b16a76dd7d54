// npm run build: one executable, its symlinks and Envoy, in dist/bin.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { generate } from "./proto-gen/generate.mjs";
import { bundle } from "./scripts/bundle.mjs";
import { executable } from "./scripts/executable.mjs";
import { fetchEnvoy, Unreachable } from "./scripts/fetch-envoy.mjs";
import { ensureInstalled, pinnedNode, root, runPinned, script, step } from "./scripts/pinned-node.mjs";
import { programs } from "./scripts/programs.mjs";
import { stamp } from "./scripts/stamp.mjs";

const bin = path.join(root, "dist", "bin");

/** A hash of all that goes into dist/bin, by which an up-to-date build is known. */
function inputs() {
  const hash = createHash("sha256").update(JSON.stringify(stamp()));
  const files = [
    "src",
    "scripts/bundle.mjs",
    "scripts/light.mjs",
    "scripts/stamp.mjs",
    "scripts/executable.mjs",
    "scripts/architectures.mjs",
    "scripts/node-binary.mjs",
    "scripts/node-variables.mjs",
    "scripts/programs.mjs",
    "build.mjs",
    "proto-gen/generate.mjs",
    "package-lock.json",
  ];
  for (const name of files) {
    const full = path.join(root, name);
    const list = fs.statSync(full).isDirectory() ? fs.readdirSync(full, { recursive: true }).sort() : [""];
    for (const file of list) {
      const target = path.join(full, file);
      if (fs.statSync(target).isFile()) hash.update(`\n${name}/${file}\n`).update(fs.readFileSync(target));
    }
  }
  return hash.digest("hex");
}

function link(name, make) {
  const temporary = path.join(bin, `.${name}.${process.pid}`);
  make(temporary);
  fs.renameSync(temporary, path.join(bin, name));
}

function isComplete() {
  return ["kuma", ...programs].every((name) => fs.existsSync(path.join(bin, name)));
}

async function placePrograms() {
  const wanted = inputs();
  const done = path.join(root, "dist", ".build");
  if (fs.existsSync(done) && fs.readFileSync(done, "utf8") === wanted && isComplete()) {
    console.log("The executable is up to date");
    return;
  }
  fs.mkdirSync(bin, { recursive: true });
  await step("Generated protobuf code", () => generate());
  const { door, assets } = await step("Bundled", () => bundle(path.join(root, "dist")));
  await step("Made the executable", () => {
    const output = path.join(root, "dist", `kuma.${process.pid}`);
    executable(door, output, { assets });
    fs.renameSync(output, path.join(bin, "kuma"));
  });
  for (const name of programs) link(name, (file) => fs.symlinkSync("kuma", file));
  execFileSync(path.join(bin, "kuma"), ["ctl", "version"], { stdio: "ignore" });
  fs.writeFileSync(done, wanted);
}

/** By size and time, as rsync has it: a copy gets the time of its source. */
function isCopy(file, source) {
  const [a, b] = [file, source].map((name) => fs.statSync(name, { throwIfNoEntry: false }));
  return a !== undefined && b !== undefined && a.size === b.size && a.mtimeMs === b.mtimeMs;
}

/** Every build checks the cached Envoy's sum, also one that has nothing else to do. */
async function placeEnvoy({ optional }) {
  try {
    await step("Envoy's checksum is right", async () => {
      const envoy = await fetchEnvoy();
      if (isCopy(path.join(bin, "envoy"), envoy)) return;
      link("envoy", (file) => {
        fs.copyFileSync(envoy, file, fs.constants.COPYFILE_FICLONE);
        const { atime, mtime } = fs.statSync(envoy);
        fs.utimesSync(file, atime, mtime);
      });
    });
  } catch (error) {
    if (!(optional && error instanceof Unreachable)) throw error;
    fs.rmSync(path.join(bin, "envoy"), { force: true });
    console.error(`Warning: built without Envoy. ${error.message}`);
  }
}

await script(async () => {
  ensureInstalled();
  const args = process.argv.slice(2);
  if (process.execPath !== fs.realpathSync(pinnedNode())) {
    return runPinned([fileURLToPath(import.meta.url), ...args]);
  }
  await placePrograms();
  // Tests can do without: those that need Envoy are skipped then.
  await placeEnvoy({ optional: args.includes("--envoy=optional") });
});
