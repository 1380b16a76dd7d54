// npm run build: one executable, its symlinks and Envoy, in dist/bin.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { generate } from "./proto-gen/generate.mjs";
import { bundle } from "./scripts/bundle.mjs";
import { executable } from "./scripts/executable.mjs";
import { fetchEnvoy, Unreachable } from "./scripts/fetch-envoy.mjs";
import { ensureInstalled, pinnedNode, root, runPinned, script } from "./scripts/pinned-node.mjs";

const bin = path.join(root, "dist", "bin");
const programs = ["kuma-cp", "kuma-dp", "kumactl", "kuma-injector", "kuma-tcp-echo", "kuma-init"];
/** Start-up time and memory of these programs rest on never loading what only kuma-cp needs. */
const light = ["src/ctl/main.ts", "src/dp/main.ts", "src/echo/main.ts", "src/injector/main.ts", "src/redirect/main.ts"];
const heavy = /node_modules\/(@grpc|google-protobuf|@bufbuild\/protobuf|immutable|jsonwebtoken)\/|proto-gen\//;

/** Sources without their repository, unpacked inside another one, must not wear that one's commit. */
const ownRepository = fs.existsSync(path.join(root, ".git"));

function git(...args) {
  if (!ownRepository) return "";
  const { status, stdout } = spawnSync("git", args, { cwd: root, encoding: "utf8" });
  return status === 0 ? stdout.trim() : "";
}

/** What `version --detailed` says; the date is the commit's, so that two builds of one commit are alike. */
function stamp() {
  const { version } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));
  return {
    version,
    gitTag: git("describe", "--tags", "--exact-match") || "unknown",
    gitCommit: git("rev-parse", "HEAD") || "unknown",
    buildDate: git("log", "-1", "--format=%cI") || "unknown",
  };
}

async function step(text, body) {
  const start = performance.now();
  const result = await body();
  console.log(`${text} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  return result;
}

/** Every module that `entry` reaches by imports of these kinds, each with the module that imports it. */
function reached({ inputs }, entry, follow) {
  const importers = new Map([[entry, undefined]]);
  for (const file of importers.keys()) {
    for (const { path: imported, kind } of inputs[file]?.imports ?? []) {
      if (follow(kind) && !importers.has(imported)) importers.set(imported, file);
    }
  }
  return importers;
}

/**
 * Refuses a bundle in which a light program can come to load heavy packages, or in which the door loads
 * more than lib at once: one static import is enough to undo the lazy imports of the same module.
 */
function assertLight(metafile) {
  for (const entry of light) {
    for (const [file, importer] of reached(metafile, entry, () => true)) {
      if (heavy.test(file)) throw new Error(`${entry} reaches ${file} through ${importer}: only kuma-cp may load it`);
    }
  }
  for (const [file, importer] of reached(metafile, "src/main.ts", (kind) => kind !== "dynamic-import")) {
    if (/^(src\/(main\.ts$|lib\/)|node:|<define:)/.test(file)) continue;
    throw new Error(`every program would load ${file} at start, through ${importer}: import it lazily`);
  }
}

/** A hash of all that goes into dist/bin, by which an up-to-date build is known. */
function inputs() {
  const hash = createHash("sha256").update(JSON.stringify(stamp()));
  const files = [
    "src",
    "scripts/bundle.mjs",
    "scripts/executable.mjs",
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
  const { door, cp } = await step("Bundled", async () => {
    const directory = path.join(root, "dist");
    const made = await bundle({ root, directory, define: { __BUILD__: JSON.stringify(stamp()) } });
    assertLight(made.metafile);
    return made;
  });
  await step("Made the executable", async () => {
    const output = path.join(root, "dist", `kuma.${process.pid}`);
    await executable(door, output, { "kuma-cp.cjs": cp });
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
