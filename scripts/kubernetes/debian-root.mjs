// The node's programs besides Kubernetes: Debian packages, unpacked but not installed.
import fs from "node:fs";
import path from "node:path";
import { aptOptions, run } from "../release/debian-packages.mjs";

/** The names and exact versions of packages and of all that they depend on, as apt takes them. */
function withDependencies(packages, options) {
  const lines = run("apt-get", [...options, "install", "--no-install-recommends", "--print-uris", ...packages]);
  // 'ADDRESS' NAME_VERSION_ARCHITECTURE.deb SIZE CHECKSUM
  return [...lines.matchAll(/^'[^']*' ([^_ ]+)_([^_ ]+)_/gm)].map(
    ([, name, version]) => `${name}=${decodeURIComponent(version)}`,
  );
}

/** Links that the packages' installation scripts make on a machine. */
function placeLinks(directory) {
  const tables = ["iptables", "ip6tables"].flatMap((name) => ["", "-save", "-restore"].map((word) => `${name}${word}`));
  const links = { "bin/sh": "bash", "usr/bin/awk": "mawk" };
  for (const name of tables) links[`usr/sbin/${name}`] = "xtables-nft-multi";
  for (const [link, target] of Object.entries(links)) fs.symlinkSync(target, path.join(directory, link));
}

/**
 * Unpacks `packages` and all that they depend on into `directory`. apt verifies them against Debian's signed lists.
 */
export function unpackDebianRoot(packages, debianArchitecture, directory) {
  const options = aptOptions(debianArchitecture);
  run("apt-get", [...options, "update"]);
  const work = `${directory}.packages`;
  fs.mkdirSync(work);
  run("apt-get", [...options, "download", ...withDependencies(packages, options)], { cwd: work });
  for (const file of fs.readdirSync(work)) run("dpkg-deb", ["--extract", path.join(work, file), directory]);
  fs.rmSync(work, { recursive: true });
  // Half of the files, and no program reads them.
  for (const unused of ["doc", "man", "locale", "info", "lintian", "perl"]) {
    fs.rmSync(path.join(directory, "usr", "share", unused), { recursive: true, force: true });
  }
  placeLinks(directory);
}
