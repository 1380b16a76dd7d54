import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { cacheDirectory } from "../../scripts/fetch-envoy.mjs";

/** Unpacks a minimal Debian with systemd, of this machine's own release, into `directory`. It is built once and cached. */
export function unpackDebianRoot(directory: string): void {
  const release = /^VERSION_CODENAME=(\w+)$/m.exec(fs.readFileSync("/etc/os-release", "utf8"))?.[1];
  if (release === undefined) throw new Error("/etc/os-release names no release of Debian (VERSION_CODENAME)");
  const archive = path.join(cacheDirectory, `debian-${release}-${process.arch}.tar`);
  if (!fs.existsSync(archive)) {
    const work = path.join(cacheDirectory, `debian-${release}-${process.pid}.tar`);
    const made = spawnSync("mmdebstrap", ["--quiet", "--variant=minbase", "--include=systemd", release, work], {
      encoding: "utf8",
    });
    if (made.status !== 0) throw new Error(`mmdebstrap ${release}: ${made.error?.message ?? made.stderr}`);
    fs.renameSync(work, archive);
  }
  fs.mkdirSync(directory, { recursive: true });
  const unpacked = spawnSync("tar", ["-xf", archive, "-C", directory], { encoding: "utf8" });
  if (unpacked.status !== 0) throw new Error(`${archive}: ${unpacked.stderr}`);
  // Files that an installed machine has.
  fs.writeFileSync(path.join(directory, "etc", "hosts"), "127.0.0.1 localhost\n::1 localhost\n");
}
