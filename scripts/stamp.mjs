// The commit of this build, and its time.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { root } from "./pinned-node.mjs";

function git(...args) {
  // Sources that were unpacked inside another repository must not get that repository's commit.
  if (!fs.existsSync(path.join(root, ".git"))) return "";
  const { status, stdout } = spawnSync("git", args, { cwd: root, encoding: "utf8" });
  return status === 0 ? stdout.trim() : "";
}

/** The output of `version --detailed`. The date is the commit's, so that two builds of one commit are identical. */
export function stamp() {
  const { version } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));
  return {
    version,
    gitTag: git("describe", "--tags", "--exact-match") || "unknown",
    gitCommit: git("rev-parse", "HEAD") || "unknown",
    buildDate: git("log", "-1", "--format=%cI") || "unknown",
  };
}

/**
 * The timestamp of everything in a release: SOURCE_DATE_EPOCH (seconds, as defined by reproducible-builds.org) when it
 * is set, otherwise the commit's.
 */
export function releaseTime(environment = process.env) {
  const given = environment.SOURCE_DATE_EPOCH;
  if (given) {
    if (!/^\d{1,11}$/.test(given)) {
      throw new Error(`SOURCE_DATE_EPOCH is "${given}", but has to be a number of seconds since 1970`);
    }
    return new Date(Number(given) * 1000);
  }
  const { buildDate } = stamp();
  if (buildDate === "unknown") {
    throw new Error(
      "this is no git repository, so the release has no date: set SOURCE_DATE_EPOCH (seconds since 1970)",
    );
  }
  return new Date(buildDate);
}

/** Whether files differ from the commit that the build is stamped with. */
export function hasUncommittedChanges() {
  return git("status", "--porcelain", "--untracked-files=normal") !== "";
}
