import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { chosenArchitectures } from "../../../scripts/architectures.mjs";
import { executable } from "../../../scripts/executable.mjs";
import { sha256 } from "../../../scripts/fetch-envoy.mjs";
import { programs } from "../../../scripts/programs.mjs";
import { examples } from "../../../scripts/release/examples.mjs";
import { releaseTime } from "../../../scripts/stamp.mjs";
import { programs as known } from "../../../src/lib/programs.js";
import { shellBlocks } from "../../support/readme.js";
import { suite } from "../../support/suite.js";

const test = suite("what a release is made of");

const { version } = JSON.parse(fs.readFileSync("package.json", "utf8")) as { version: string };
let work: string;

test.before(() => {
  work = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-release-"));
});

test.after(() => fs.rmSync(work, { recursive: true, force: true }));

test("has a link for every program, in the build, in install.sh and in the README", () => {
  const names = known.map(({ name }) => name).sort();
  assert.equal([...programs].sort(), names);
  const listed = /^programs="(.*)"$/m.exec(fs.readFileSync("packaging/install.sh", "utf8"))?.[1];
  assert.equal(listed?.split(" ").sort(), names);
  const [, byHand = ""] = shellBlocks("Install");
  assert.equal(/^for program in (.*); do$/m.exec(byHand)?.[1]?.split(" ").sort(), names);
});

test("has the version in the README and the changelog", () => {
  const readme = fs.readFileSync("README.md", "utf8");
  const named = [...readme.matchAll(/\bkuma[-:](\d+\.\d+\.\d+)\b/g)].map(([, name]) => name);
  assert.equal([...new Set(named)], [version]);
  assert.match(fs.readFileSync("CHANGELOG.md", "utf8"), `\n## ${version}\n`);
});

test("has the timestamp of SOURCE_DATE_EPOCH, or else of its commit", () => {
  assert.equal(releaseTime({ SOURCE_DATE_EPOCH: "1000000000" }), new Date("2001-09-09T01:46:40Z"));
  for (const wrong of ["yesterday", "-1", "1e9"]) {
    assert.throws(() => releaseTime({ SOURCE_DATE_EPOCH: wrong }), `SOURCE_DATE_EPOCH is "${wrong}", but has to be`);
  }
  const commit = spawnSync("git", ["log", "-1", "--format=%ct"], { encoding: "utf8" });
  if (commit.status === 0) assert.is(releaseTime({}).getTime() / 1000, Number(commit.stdout));
});

test("is built for the named architectures, or for all", () => {
  assert.equal(chosenArchitectures([]), ["x64", "arm64"]);
  assert.equal(chosenArchitectures(["arm64", "arm64"]), ["arm64"]);
  assert.throws(() => chosenArchitectures(["amd64"]), '"amd64" is no architecture; there are x64 and arm64');
});

test("has the documents that can be applied as examples, and not the views", () => {
  fs.mkdirSync(path.join(work, "documents"));
  const place = (name: string, text: string) => fs.writeFileSync(path.join(work, "documents", name), text);
  place("mesh.json", '{"type":"Mesh","name":"a"}');
  place("meshes.json", '{"items":[]}');
  place("overview.json", '{"type":"DataplaneOverview"}');
  place("web.yaml", "type: Dataplane\n");
  const block = (name: string) =>
    `Text\n\n\`\`\`sh\necho "type: Dataplane\nname: ${name}\nmesh: default" | kumactl apply -f -\n\nkuma-dp run\n\`\`\`\n`;
  const readme = `## Quickstart on bare metal\n${block("redis-1")}\n## A second machine\n${block("redis-1")}`;
  assert.equal(examples(path.join(work, "documents"), readme), [
    { name: "mesh.json", data: '{"type":"Mesh","name":"a"}' },
    { name: "web.yaml", data: "type: Dataplane\n" },
    { name: "quickstart-redis-1.yaml", data: "type: Dataplane\nname: redis-1\nmesh: default\n" },
    { name: "a-second-machine-redis-1.yaml", data: "type: Dataplane\nname: redis-1\nmesh: default\n" },
  ]);
});

test("is an executable that is identical from two directories", () => {
  const sums = ["a", "directory"].map((name) => {
    const directory = path.join(work, name);
    fs.mkdirSync(directory);
    fs.writeFileSync(path.join(directory, `${name}.cjs`), 'console.log(require("node:sea").getAsset("text", "utf8"));');
    fs.writeFileSync(path.join(directory, "asset"), "what it carries");
    const output = path.join(directory, "out");
    executable(path.join(directory, `${name}.cjs`), output, { assets: { text: path.join(directory, "asset") } });
    const { stdout, stderr } = spawnSync(output, { encoding: "utf8" });
    assert.equal([stdout, stderr], ["what it carries\n", ""]);
    return sha256(output);
  });
  assert.is(sums[0], sums[1]);
});

test("accepts another architecture's Node only when it matches the lockfile", () => {
  const arch = process.arch === "x64" ? "arm64" : "x64";
  const { packages } = JSON.parse(fs.readFileSync("package-lock.json", "utf8")) as {
    packages: Record<string, { version: string }>;
  };
  const name = `node-linux-${arch}`;
  const archive = path.join(work, "kuma-build", `${name}-${packages[`node_modules/${name}`]?.version}.tgz`);
  fs.mkdirSync(path.dirname(archive));
  fs.writeFileSync(archive, "something else");
  const module = JSON.stringify(path.resolve("scripts/node-binary.mjs"));
  const text = `import { strippedNode } from ${module}; strippedNode("${arch}", ".", { mustStrip: true });`;
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", text], {
    encoding: "utf8",
    env: { ...process.env, XDG_CACHE_HOME: work },
  });
  assert.is(status, 1);
  assert.match(stderr, `${archive} is not the package that package-lock.json names: its sha512 is `);
});

test.run();
