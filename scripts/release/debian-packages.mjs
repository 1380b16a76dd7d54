// The Debian packages with files in the image: the newest versions in this machine's Debian release.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { architectures } from "../architectures.mjs";
import { cacheDirectory, sha256 } from "../fetch-envoy.mjs";

/**
 * The packages with their licence as an SPDX expression. Their copyright files, which the image contains, have the full
 * texts.
 */
const licences = {
  "ca-certificates": "MPL-2.0 AND GPL-2.0-or-later",
  coreutils: "GPL-3.0-or-later",
  libc6: "LGPL-2.1-or-later",
  "libgcc-s1": "GPL-3.0-or-later WITH GCC-exception-3.1",
  "libpcre2-8-0": "BSD-3-Clause",
  libselinux1: "LicenseRef-public-domain",
  "libstdc++6": "GPL-3.0-or-later WITH GCC-exception-3.1",
};

export function run(program, args, options = {}) {
  const { status, error, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", ...options });
  if (status === 0) return stdout;
  const missing = error?.code === "ENOENT" ? "; Debian's packages are fetched and unpacked with it" : "";
  throw new Error(`${program} ${args.at(-1)}: ${error?.message ?? stderr.trim()}${missing}`);
}

/**
 * Arguments for an apt with an architecture and package lists of its own, so that this machine's configuration is not
 * changed. To it no package is installed.
 */
export function aptOptions(debian) {
  const state = path.join(cacheDirectory, `apt-${debian}`);
  fs.mkdirSync(path.join(state, "lists", "partial"), { recursive: true });
  fs.mkdirSync(path.join(state, "archives", "partial"), { recursive: true });
  fs.writeFileSync(path.join(state, "status"), "");
  const options = {
    "APT::Architecture": debian,
    "APT::Architectures": debian,
    "APT::Sandbox::User": "root",
    "Dir::State": state,
    "Dir::State::status": path.join(state, "status"),
    "Dir::Cache": state,
  };
  return ["-qq", ...Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`])];
}

/** The ID of this machine's distribution, such as `debian`, and its version. */
function distribution() {
  const facts = Object.fromEntries(
    fs
      .readFileSync("/etc/os-release", "utf8")
      .split("\n")
      .map((line) => /^(\w+)="?(.*?)"?$/.exec(line)?.slice(1) ?? []),
  );
  return { id: facts.ID, version: facts.VERSION_ID ?? "" };
}

/** The packages that contain these packages' copyright files when those are links: gcc's are in `gcc-12-base`. */
function documentedElsewhere(names, directory) {
  const documents = names.map((name) => path.join(directory, "usr", "share", "doc", name));
  const links = documents.filter((file) => fs.lstatSync(file).isSymbolicLink());
  return [...new Set(links.map((file) => path.basename(fs.readlinkSync(file))))];
}

/**
 * Fetches the packages for `arch` with apt, which verifies them against Debian's signed lists, and unpacks them into
 * `directory`. Returns the SBOM's data of each.
 */
export function unpackDebianPackages(arch, directory) {
  const options = aptOptions(architectures[arch].debian);
  run("apt-get", [...options, "update"]);
  const work = fs.mkdtempSync(path.join(cacheDirectory, "debian-"));
  const fetch = (names) => {
    run("apt-get", [...options, "download", ...names], { cwd: work });
    return names.map((name) => {
      const archive = fs.readdirSync(work).find((file) => file.startsWith(`${name}_`));
      const file = path.join(work, archive);
      run("dpkg-deb", ["--extract", file, directory]);
      return { name, file };
    });
  };
  try {
    const fetched = fetch(Object.keys(licences));
    fetch(documentedElsewhere(Object.keys(licences), directory));
    return fetched.map(({ name, file }) => {
      const field = (title) => run("dpkg-deb", ["--field", file, title]).trim();
      const facts = { name, version: field("Version"), architecture: field("Architecture") };
      return { ...facts, license: licences[name], sha256: sha256(file), distribution: distribution() };
    });
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}
