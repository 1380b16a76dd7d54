import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { sha256 } from "../../../scripts/fetch-envoy.mjs";
import { entrySums } from "../../../scripts/release/sums.mjs";
import { writeTar } from "../../../scripts/release/tar.mjs";
import { suite } from "../../support/suite.js";

const test = suite("archives of a release");

const time = new Date("2020-02-20T20:20:20Z");
let work: string;

test.before(() => {
  work = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-tar-"));
});

test.after(() => fs.rmSync(work, { recursive: true, force: true }));

function list(file: string): string[] {
  const words = ["--utc", "--full-time", "--numeric-owner", "-tvf", file];
  const { stdout } = spawnSync("tar", words, { encoding: "utf8" });
  return stdout
    .trim()
    .split("\n")
    .map((line) => line.replace(/ +/g, " "));
}

test("contain the given entries, sorted by name, with the parent directories", async () => {
  const file = path.join(work, "a.tar");
  const source = path.join(work, "source");
  fs.writeFileSync(source, "from a file", { mode: 0o600 });
  const { sha256: sum, size } = await writeTar(
    file,
    [
      { name: "kuma/bin/kuma", file: source, mode: 0o755 },
      { name: "kuma/bin/kumactl", link: "kuma" },
      { name: "kuma/LICENSE", data: "text" },
      { name: "tmp", directory: true, mode: 0o1777, owner: 5678 },
    ],
    { time },
  );
  assert.is(sum, sha256(file));
  assert.is(size, fs.statSync(file).size);
  assert.equal(list(file), [
    "drwxr-xr-x 0/0 0 2020-02-20 20:20:20 kuma/",
    "-rw-r--r-- 0/0 4 2020-02-20 20:20:20 kuma/LICENSE",
    "drwxr-xr-x 0/0 0 2020-02-20 20:20:20 kuma/bin/",
    "-rwxr-xr-x 0/0 11 2020-02-20 20:20:20 kuma/bin/kuma",
    "lrwxrwxrwx 0/0 0 2020-02-20 20:20:20 kuma/bin/kumactl -> kuma",
    "drwxrwxrwt 5678/5678 0 2020-02-20 20:20:20 tmp/",
  ]);
  const { stdout } = spawnSync("tar", ["-xOf", file, "kuma/bin/kuma"], { encoding: "utf8" });
  assert.is(stdout, "from a file");
});

test("have the same bytes whatever the order of the entries and the dates and modes of the files", async () => {
  const sums = [];
  for (const [index, compress] of [true, true].entries()) {
    const source = path.join(work, `source-${index}`, "file");
    fs.mkdirSync(path.dirname(source));
    fs.writeFileSync(source, "same".repeat(100_000), { mode: index === 0 ? 0o600 : 0o777 });
    fs.utimesSync(source, index, index);
    const entries = [
      { name: "b", file: source },
      { name: "a", data: "a" },
    ];
    const file = path.join(work, `${"x".repeat(index * 9)}.tar.gz`);
    sums.push((await writeTar(file, index === 0 ? entries : entries.reverse(), { time, compress })).sha256);
    const bytes = fs.readFileSync(file);
    assert.equal([...bytes.subarray(0, 8)], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0], "a gzip header without name and time");
  }
  assert.is(sums[0], sums[1]);
});

test("accept names longer than tar's original format allows", async () => {
  const file = path.join(work, "long.tar");
  const name = `${"directory/".repeat(20)}${"n".repeat(120)}`;
  await writeTar(file, [{ name, data: "" }], { time });
  assert.match(list(file).at(-1) ?? "", name);
});

test("reject a duplicate name and a missing file", async () => {
  const refusal = (entries: object[]) =>
    writeTar(path.join(work, "no.tar"), entries as [], { time }).then(
      () => "accepted",
      (error: Error) => error.message,
    );
  assert.match(
    await refusal([
      { name: "a", data: "" },
      { name: "a/b", data: "" },
      { name: "a", link: "b" },
    ]),
    "a would be twice",
  );
  assert.match(await refusal([{ name: "a", file: path.join(work, "absent") }]), "ENOENT");
});

test("have checksums for sha256sum, of files only", () => {
  const text = entrySums([
    { name: "b", data: "b" },
    { name: "link", link: "b" },
    { name: "a", data: "" },
  ]);
  fs.writeFileSync(path.join(work, "a"), "");
  fs.writeFileSync(path.join(work, "b"), "b");
  fs.writeFileSync(path.join(work, "SHA256SUMS"), text);
  const checked = spawnSync("sha256sum", ["--check", "SHA256SUMS"], { cwd: work, encoding: "utf8" });
  assert.is(checked.stdout, "a: OK\nb: OK\n");
});

test.run();
