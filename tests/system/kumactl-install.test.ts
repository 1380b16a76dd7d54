import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { loadAll } from "js-yaml";
import * as assert from "uvu/assert";
import { bin, runProgram } from "../support/executable.js";
import { suite } from "../support/suite.js";

const test = suite("the built kumactl install for Kubernetes", { needs: ["root", "unshare"] });

const work = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-install-"));
test.after(() => fs.rmSync(work, { recursive: true, force: true }));

/** Runs it on a machine without a network and without a home directory. */
function alone(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(
    "unshare",
    ["--net", "env", "-i", "HOME=/nonexistent", path.join(bin, "kumactl"), ...words],
    { encoding: "utf8", timeout: 30_000 },
  );
  return { status, stdout, stderr };
}

test("prints the control plane of its own version, without a network", () => {
  const version = runProgram("kumactl", ["version"]).stdout.trim();
  const { status, stdout, stderr } = alone("install", "control-plane", "--image-registry", "r.example.com");
  assert.equal([status, stderr], [0, ""]);
  assert.ok(loadAll(stdout).length > 25);
  const images = [...stdout.matchAll(/\br\.example\.com\/kuma-([a-z]+):(\S+)/g)].map(([, name, tag]) => [name, tag]);
  assert.equal(
    images.sort(),
    ["cp", "dp", "init", "injector"].map((name) => [name, version]),
  );
  for (const command of ["uninstall control-plane", "install crds"]) {
    const printed = alone(...command.split(" "));
    assert.is(printed.status, 0, printed.stderr);
    assert.ok(loadAll(printed.stdout).length > 5);
  }
});

test("keeps the certificates of its own output, and makes others without it", () => {
  const first = alone("install", "control-plane").stdout;
  const file = path.join(work, "installed.yaml");
  fs.writeFileSync(file, first);
  assert.is(alone("install", "control-plane", "--tls-secrets", file).stdout, first);
  const again = alone("install", "control-plane").stdout;
  const keys = (text: string) => [...text.matchAll(/tls\.key: (\S+)/g)].map(([, key]) => key);
  assert.is(new Set([...keys(first), ...keys(again)]).size, 6);
});

test("writes the chart of its own version", () => {
  const directory = path.join(work, "chart");
  const { status, stderr } = alone("install", "helm-chart", "--directory", directory);
  assert.equal([status, stderr], [0, ""]);
  const version = runProgram("kumactl", ["version"]).stdout.trim();
  const chart = fs.readFileSync(path.join(directory, "Chart.yaml"), "utf8");
  assert.match(chart, `\nversion: ${version}\nappVersion: ${version}\n`);
});

const refusals: readonly [words: string[], message: string][] = [
  [
    ["install", "control-plane", "--sds-tls-cert", "-----BEGIN CERTIFICATE-----\nx"],
    "Error: SDS: both TLS Cert and TLS Key must be provided at the same time\n",
  ],
  [
    ["install", "control-plane", "--injector-failure-policy=Maybe"],
    'Error: invalid argument "Maybe" for "--injector-failure-policy" flag: has to be one of Ignore, Fail\n',
  ],
  [
    ["install", "control-plane", "--tls-secrets", "/nonexistent/secrets.yaml"],
    "Error: error while reading provided file: ENOENT: no such file or directory, open '/nonexistent/secrets.yaml'\n",
  ],
  [["install", "helm-chart"], 'Error: required flag(s) "directory" not set\n'],
  [
    ["install", "helm-chart", "--directory", "/proc/kuma"],
    "Error: failed to write the chart to \"/proc/kuma\": ENOENT: no such file or directory, mkdir '/proc/kuma'\n",
  ],
];
for (const [words, message] of refusals) {
  test(`refuses ${words.slice(1).join(" ").replace(/\n.*/, "…")}`, () => {
    const { status, stdout, stderr } = alone(...words);
    assert.equal([status, stdout], [1, ""]);
    assert.ok(stderr.startsWith(message), stderr);
  });
}

test.run();
