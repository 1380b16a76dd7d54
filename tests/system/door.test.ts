import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { programs } from "../../src/lib/programs.js";
import { bin, runProgram } from "../support/executable.js";
import { suite } from "../support/suite.js";

const test = suite("the executable of all programs");

const { version } = JSON.parse(fs.readFileSync("package.json", "utf8")) as { version: string };
const names = programs.map((program) => program.name);

for (const { name, word } of programs) {
  test(`${name} is reached by its name and by its first words, and tells its version`, () => {
    for (const [program, ...before] of [[name], ["kuma", word], ["kuma", name]] as const) {
      assert.equal(runProgram(program, [...before, "version"]), { status: 0, stdout: `${version}\n`, stderr: "" });
    }
  });

  test(`${name} explains itself with -h, --help and help`, () => {
    for (const help of ["-h", "--help", "help"]) {
      const { status, stdout, stderr } = runProgram(name, [help]);
      assert.is(status, 0);
      assert.is(stderr, "");
      assert.match(stdout, name);
    }
  });

  test(`${name} refuses what it does not know in words, not with a stack`, () => {
    const { status, stdout, stderr } = runProgram(name, ["frobnicate"]);
    assert.is(status, 1);
    assert.is(stdout, "");
    assert.match(stderr, /^Error: /);
    assert.not.match(stderr, /\n +at /);
  });
}

test("the detailed version has four lines with values in column 13", () => {
  const commit = spawnSync("git", ["rev-parse", "HEAD"], { encoding: "utf8" });
  for (const flag of ["-a", "--detailed"]) {
    const { status, stdout } = runProgram("kumactl", ["version", flag]);
    assert.is(status, 0);
    const lines = stdout.split("\n");
    assert.is(lines.length, 5);
    assert.is(lines[0], `Version:    ${version}`);
    assert.match(lines[1] ?? "", /^Git Tag: {4}\S+$/);
    assert.match(lines[2] ?? "", commit.status === 0 ? /^Git Commit: [0-9a-f]{40}$/ : /^Git Commit: unknown$/);
    assert.match(lines[3] ?? "", commit.status === 0 ? /^Build Date: \d{4}-\d\d-\d\dT/ : /^Build Date: unknown$/);
  }
});

test("no program, or one that does not exist, gets the list of programs", () => {
  for (const args of [[], ["frobnicate"], ["run"]]) {
    const { status, stdout, stderr } = runProgram("kuma", args);
    assert.is(status, 1);
    assert.is(stdout, "");
    for (const name of names) assert.match(stderr, name);
    if (args[0] !== undefined) assert.match(stderr, `unknown program "${args[0]}"`);
  }
  for (const help of ["-h", "--help", "help"]) {
    const { status, stdout } = runProgram("kuma", [help]);
    assert.is(status, 0);
    for (const name of names) assert.match(stdout, name);
  }
});

test("a symlink with another name selects no program, but a first word still does", () => {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-door-"));
  try {
    const link = path.join(work, "kuma-frob");
    fs.symlinkSync(path.join(bin, "kuma"), link);
    const unknown = spawnSync(link, ["run"], { encoding: "utf8" });
    assert.is(unknown.status, 1);
    assert.match(unknown.stderr, "kuma-tcp-echo");
    assert.is(spawnSync(link, ["ctl", "version"], { encoding: "utf8" }).stdout, `${version}\n`);
    const renamed = path.join(work, "kumactl");
    fs.symlinkSync(path.join(bin, "kuma"), renamed);
    assert.is(spawnSync("kumactl", ["version"], { encoding: "utf8", env: { PATH: work } }).stdout, `${version}\n`);
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
});

test("kuma-init says that this version does not include it", () => {
  const { status, stderr } = runProgram("kuma-init", ["run"]);
  assert.is(status, 1);
  assert.match(stderr, "Kubernetes mode, which this version does not include yet");
});

test("a reader that closes the pipe is not an error", async () => {
  const child = spawn(path.join(bin, "kuma"), ["help"], { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.destroy();
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const [code] = await once(child, "close");
  assert.is(code, 0);
  assert.is(said, "");
});

test.run();
