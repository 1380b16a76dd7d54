// Builds the Go programs of the Kubernetes test cluster.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

/** There is no Go, or one that is too old, or no way to its modules: nothing that this machine's user did wrong. */
export class NoGo extends Error {}

/** This machine's Go, such as `go1.26.8 linux/amd64`; undefined without Go. */
export function goVersion() {
  const { status, stdout } = spawnSync("go", ["version"], { encoding: "utf8" });
  return status === 0 ? stdout.trim().replace(/^go version /, "") : undefined;
}

/** Compares versions such as `1.26.0`. */
const isOlder = (version, other) => version.localeCompare(other, "en", { numeric: true }) < 0;

/** Throws NoGo unless this machine's Go can build the module in `directory`. */
export function checkGo(directory) {
  const needed = /^go (\S+)$/m.exec(fs.readFileSync(path.join(directory, "go.mod"), "utf8"))?.[1] ?? "";
  const version = goVersion();
  if (version === undefined) throw new NoGo(`Go is missing (no "go" in PATH); ${needed} or newer is needed`);
  if (isOlder(version.replace(/^go/, ""), needed))
    throw new NoGo(`this machine has ${version}, Go ${needed} or newer is needed`);
}

/** The last lines that say what failed, without the list of downloads. */
function reason({ error, stderr }) {
  const lines = (stderr ?? "").trim().split("\n");
  const telling = lines.filter((line) => !line.startsWith("go: downloading"));
  return error?.message ?? telling.slice(-4).join("; ");
}

/**
 * Builds the module in `directory`, or the package `target` that it depends on, as a static program `file`. `flags` are
 * linker flags. This machine's GOFLAGS, GOPROXY
 * and so on apply. It runs at low priority, since the first build of Kubernetes takes half an hour of CPU time.
 */
export function buildGoProgram(directory, file, flags = "", target = ".") {
  checkGo(directory);
  const options = { cwd: directory, encoding: "utf8", env: { ...process.env, CGO_ENABLED: "0" }, maxBuffer: 64 << 20 };
  const modules = spawnSync("nice", ["-n", "10", "go", "mod", "download"], options);
  if (modules.status !== 0) throw new NoGo(`Go's modules could not be fetched: ${reason(modules)}`);
  // -trimpath makes the result independent of the place of the sources, so that worktrees share Go's build cache.
  const words = ["build", "-trimpath", "-buildvcs=false", "-ldflags", `-s -w ${flags}`.trim(), "-o", file, target];
  const built = spawnSync("nice", ["-n", "10", "go", ...words], options);
  if (built.status !== 0) throw new Error(`go build in ${directory} failed: ${reason(built)}`);
}
