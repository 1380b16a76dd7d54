import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { previousRelease } from "../../../scripts/previous-release.mjs";
import { suite } from "../../support/suite.js";

const test = suite("building the previous release");

let work: string;
let repository: string;
let commit: string;

function git(...words: string[]): string {
  const own = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
  const { status, stdout, stderr } = spawnSync("git", [...own, ...words], { cwd: repository, encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return stdout.trim();
}

/** A repository whose build makes a program that says the version, and the commit of its checkout. */
function commitBuild(version: string): string {
  const program = `#!/bin/sh\\necho "version ${version} commit $COMMIT"\\n`;
  fs.writeFileSync(
    path.join(repository, "build.mjs"),
    `import fs from "node:fs"; import { execSync } from "node:child_process";
const commit = execSync("git rev-parse HEAD", { encoding: "utf8" }).trim();
fs.mkdirSync("dist/bin", { recursive: true });
fs.writeFileSync("dist/bin/kumactl", ${JSON.stringify(program)}.replaceAll("\\\\n", "\\n").replace("$COMMIT", commit), { mode: 0o755 });
fs.appendFileSync(process.env.BUILDS, "built\\n");`,
  );
  git("add", ".");
  git("commit", "--quiet", "--message", version);
  return git("rev-parse", "HEAD");
}

const builds = () => fs.readFileSync(path.join(work, "builds"), "utf8").split("\n").length - 1;
const cache = () => path.join(work, "cache");

function get(release: object) {
  const environment = { ...process.env, BUILDS: path.join(work, "builds") };
  return previousRelease({ release, repository, cache: cache(), environment });
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("it was not refused");
}

test.before.each(() => {
  work = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-previous-"));
  repository = path.join(work, "repository");
  fs.mkdirSync(repository);
  git("init", "--quiet");
  commit = commitBuild("1.2.3");
});

test.after.each(() => fs.rmSync(work, { recursive: true, force: true }));

test("it is built from its commit once, also after newer commits", async () => {
  commitBuild("1.3.0");
  const first = await get({ version: "1.2.3", commit });
  const { stdout } = spawnSync(path.join(first, "kumactl"), { encoding: "utf8" });
  assert.is(stdout, `version 1.2.3 commit ${commit}\n`);
  assert.is(await get({ version: "1.2.3", commit }), first);
  assert.is(builds(), 1);
  assert.equal(fs.readdirSync(cache()), [path.basename(first)], "nothing else is left in the cache");
});

test("two concurrent builds leave one result", async () => {
  const [one, two] = await Promise.all([get({ version: "1.2.3", commit }), get({ version: "1.2.3", commit })]);
  assert.is(one, two);
  assert.is(fs.readdirSync(cache()).length, 1);
});

test("a shallow clone without the commit says how to get it", async () => {
  commitBuild("1.3.0");
  const shallow = path.join(work, "shallow");
  git("clone", "--quiet", "--depth=1", `file://${repository}`, shallow);
  const asked = previousRelease({ release: { version: "1.2.3", commit }, repository: shallow, cache: cache() });
  assert.is(
    await refusal(asked),
    `the previous release, 1.2.3, is built from commit ${commit}, which is not in this repository: ` +
      'it may be a shallow clone; get the commit with "git fetch --unshallow"',
  );
});

test("a failing build says why and leaves nothing", async () => {
  fs.writeFileSync(path.join(repository, "build.mjs"), 'console.error("no compiler"); process.exit(1);');
  git("commit", "--quiet", "--all", "--message", "broken");
  const message = await refusal(get({ version: "1.2.3", commit: git("rev-parse", "HEAD") }));
  assert.is(message, "the previous release could not be built: no compiler");
  assert.equal(fs.readdirSync(cache()), []);
});

test("a pin whose version differs from the commit's is rejected", async () => {
  const message = await refusal(get({ version: "9.9.9", commit }));
  assert.match(message, /is not release 9\.9\.9 of commit/);
  assert.equal(fs.readdirSync(cache()), []);
});

test.run();
