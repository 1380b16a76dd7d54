// Which commit this is, and when it was made.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { root } from "./pinned-node.mjs";

function git(...args) {
  // Sources without their repository, unpacked inside another one, must not wear that one's commit.
  if (!fs.existsSync(path.join(root, ".git"))) return "";
  const { status, stdout } = spawnSync("git", args, { cwd: root, encoding: "utf8" });
  return status === 0 ? stdout.trim() : "";
}

/** What `version --detailed` says; the date is the commit's, so that two builds of one commit are alike. */
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
 * The time that everything in a release bears: SOURCE_DATE_EPOCH (seconds, as reproducible-builds.org has it)
 * where it is set, otherwise the commit's.
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

/** Whether files differ from the commit whose name the build bears. */
export function hasUncommittedChanges() {
  return git("status", "--porcelain", "--untracked-files=normal") !== "";
}
