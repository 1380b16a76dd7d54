// Builds the previous release's programs from its commit, into a cache outside the working tree.
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { cacheDirectory } from "./fetch-envoy.mjs";
import { root, script } from "./pinned-node.mjs";

/** The pinned previous release; each release moves the pin to its predecessor's commit. */
export const pin = JSON.parse(fs.readFileSync(path.join(root, "scripts", "previous-release.json"), "utf8"));

/** The last lines that a failed command printed, which contain the reason. */
const lastWords = (text) => text.trim().split("\n").slice(-5).join("\n");

function git(words, cwd) {
  const { status, error, stdout, stderr } = spawnSync("git", words, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`git ${words.join(" ")}: ${error?.message ?? lastWords(stderr)}`);
  return stdout;
}

/** Rejects a repository without the commit, such as a shallow clone, and says how to get it. */
function mustHave({ version, commit }, repository) {
  const found = spawnSync("git", ["cat-file", "-e", `${commit}^{commit}`], { cwd: repository }).status === 0;
  if (found) return;
  throw new Error(
    `the previous release, ${version}, is built from commit ${commit}, which is not in this repository: ` +
      `it may be a shallow clone; get the commit with "git fetch --unshallow"`,
  );
}

/** A checkout of the commit alone. It has its own repository, from which the build takes its stamp. */
function checkOut({ commit }, repository, directory) {
  git(["init", "--quiet", directory], repository);
  git(["fetch", "--quiet", "--depth=1", repository, commit], directory);
  git(["checkout", "--quiet", "--detach", "FETCH_HEAD"], directory);
}

/** Runs the release's own build there, which installs its own dependencies. */
function build(directory, environment) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["build.mjs"], {
      cwd: directory,
      stdio: ["ignore", "pipe", "pipe"],
      env: environment,
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`the previous release could not be built: ${lastWords(output)}`));
    });
  });
}

/** Rejects a program whose version is not the pinned one. */
function verify({ version, commit }, bin) {
  const { stdout, error } = spawnSync(path.join(bin, "kumactl"), ["version", "--detailed"], { encoding: "utf8" });
  if (stdout?.includes(version) && stdout.includes(commit)) return;
  throw new Error(`${bin} is not release ${version} of commit ${commit}: ${error?.message ?? lastWords(stdout ?? "")}`);
}

/**
 * The directory of the previous release's programs, including Envoy. When they are not cached, they are built, which
 * takes a minute or two. Throws when the commit is missing, the build fails, or its result has another version.
 */
export async function previousRelease({
  release = pin,
  repository = root,
  cache = cacheDirectory,
  environment = process.env,
} = {}) {
  const name = `kuma-${release.version}-${process.platform}-${process.arch}-${release.commit.slice(0, 12)}`;
  const cached = path.join(cache, name);
  if (!fs.existsSync(cached)) {
    mustHave(release, repository);
    fs.mkdirSync(cache, { recursive: true });
    const work = fs.mkdtempSync(path.join(cache, "previous-"));
    try {
      checkOut(release, repository, work);
      await build(work, environment);
      const made = path.join(work, "dist", "bin");
      verify(release, made);
      fs.renameSync(made, cached);
    } catch (error) {
      // Another build may have finished first; a directory is only renamed onto an empty one.
      if (!(error.code === "ENOTEMPTY" || error.code === "EEXIST")) throw error;
    } finally {
      fs.rmSync(work, { recursive: true, force: true });
    }
  }
  verify(release, cached);
  return cached;
}

if (process.argv[1] !== undefined && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await script(async () => {
    console.log(await previousRelease());
  });
}
