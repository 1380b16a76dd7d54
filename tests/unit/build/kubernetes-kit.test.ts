import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { cached, hashOf } from "../../../scripts/kubernetes/cached.mjs";
import { checkGo, NoGo } from "../../../scripts/kubernetes/go-program.mjs";
import { findKit, kubernetesVersion, partsIn } from "../../../scripts/kubernetes/kit.mjs";
import { suite } from "../../support/suite.js";

const test = suite("what a Kubernetes cluster for tests is made of");

const work = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-kit-"));
test.after(() => fs.rmSync(work, { recursive: true, force: true }));

/** A directory with a "go" that prints this as its version, for PATH. */
function goThatSays(version: string): string {
  const directory = fs.mkdtempSync(path.join(work, "go-"));
  fs.writeFileSync(path.join(directory, "go"), `#!/bin/sh\necho go version ${version} linux/amd64\n`, { mode: 0o755 });
  return directory;
}

function withPath<T>(directory: string, body: () => T): T {
  const before = process.env.PATH;
  process.env.PATH = directory;
  try {
    return body();
  } finally {
    process.env.PATH = before;
  }
}

const module = path.resolve("tests/kubernetes/node/components");

test("an empty cache lacks every part, by name", () => {
  const { kit, components, missing } = findKit(path.join(work, "empty"));
  assert.is(kit, undefined);
  assert.is(components, undefined);
  assert.equal(missing, ["pause", "components", "dns", "root", "image of pause", "image of dns", "image of busybox"]);
});

test("the version of Kubernetes is that of the node's go.mod", () => {
  assert.match(kubernetesVersion, /^v1\.\d+\.\d+$/);
});

test("a missing or old Go is said so, with the version that is needed", () => {
  const attempt = (directory: string) => withPath(directory, () => checkGo(module));
  const needed = /^go (\S+)$/m.exec(fs.readFileSync(path.join(module, "go.mod"), "utf8"))?.[1] ?? "";
  assert.throws(
    () => attempt(fs.mkdtempSync(path.join(work, "none-"))),
    (error: Error) =>
      error instanceof NoGo && error.message.includes(`Go is missing`) && error.message.includes(needed),
  );
  assert.throws(
    () => attempt(goThatSays("go1.19.8")),
    (error: Error) =>
      error instanceof NoGo && error.message.includes("go1.19.8") && error.message.includes(`Go ${needed} or newer`),
  );
  for (const version of ["go1.26.0", "go1.26.8", "go1.100.1", "go2.0"]) attempt(goThatSays(version));
});

test("a newer Go builds anew, and a machine without Go uses what was built from the same sources", () => {
  const cache = path.join(work, "cache");
  const place = (directory: string) => withPath(directory, () => partsIn(cache).parts.pause);
  const built = place(goThatSays("go1.30.0"));
  const without = fs.mkdtempSync(path.join(work, "none-"));
  assert.is.not(place(without), built);
  fs.mkdirSync(cache);
  fs.writeFileSync(built, "a program");
  assert.is(place(without), built);
  assert.is.not(place(goThatSays("go1.31.0")), built);
});

test("a result appears complete or not at all, and is made once", async () => {
  const place = path.join(work, "results", "one");
  await cached(place, () => {
    throw new Error("no disk");
  }).catch((error: Error) => assert.is(error.message, "no disk"));
  assert.equal(fs.readdirSync(path.dirname(place)), []);
  let made = 0;
  const make = async (file: string) => {
    made++;
    fs.writeFileSync(file, "half");
    await new Promise((resolve) => setImmediate(resolve));
    assert.is(fs.existsSync(place) && fs.readFileSync(place, "utf8") !== "half and half", false);
    fs.appendFileSync(file, " and half");
  };
  await Promise.all([cached(place, make), cached(place, make)]);
  await cached(place, make);
  assert.is(made, 2);
  assert.is(fs.readFileSync(place, "utf8"), "half and half");
  assert.equal(fs.readdirSync(path.dirname(place)), ["one"]);
});

test("two processes may make the same directory", async () => {
  const place = path.join(work, "directories", "one");
  const make = async (directory: string) => {
    fs.mkdirSync(directory);
    fs.writeFileSync(path.join(directory, "file"), "");
    await new Promise((resolve) => setImmediate(resolve));
  };
  await Promise.all([cached(place, make), cached(place, make)]);
  assert.equal(fs.readdirSync(path.dirname(place)), ["one"]);
});

test("a hash depends on the contents of files, their names and the other inputs", () => {
  const directory = path.join(work, "inputs");
  fs.mkdirSync(directory);
  fs.writeFileSync(path.join(directory, "a"), "1");
  const hashes = [hashOf({ texts: ["x"], files: [directory] }), hashOf({ texts: ["y"], files: [directory] })];
  fs.writeFileSync(path.join(directory, "a"), "2");
  hashes.push(hashOf({ texts: ["x"], files: [directory] }));
  fs.renameSync(path.join(directory, "a"), path.join(directory, "b"));
  hashes.push(hashOf({ texts: ["x"], files: [directory] }));
  assert.is(new Set(hashes).size, hashes.length);
});

test("npm run kubernetes:build fails with the reason in one line where it can't build", () => {
  const node = path.dirname(process.execPath);
  const { status, stderr } = spawnSync(process.execPath, ["scripts/kubernetes-build.mjs"], {
    encoding: "utf8",
    env: { PATH: `${goThatSays("go1.19.8")}:${node}`, XDG_CACHE_HOME: path.join(work, "xdg"), HOME: work },
  });
  assert.is(status, 1);
  assert.match(stderr, /^Error: this machine has go1\.19\.8[^\n]*\n$/);
});

test.run();
