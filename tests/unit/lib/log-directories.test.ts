import * as assert from "uvu/assert";
import { createPlacement } from "../../../src/envoy/placement.js";
import { logDirectoryProblem, mayLogTo } from "../../../src/lib/log-directories.js";
import { suite } from "../../support/suite.js";

const test = suite("directories for log files");

const allowed: readonly (readonly [file: string, ...directories: string[]])[] = [
  ["/tmp/a.log", "/tmp"],
  ["/tmp/below/a.log", "/tmp"],
  ["//tmp/./b/../a.log", "/tmp"],
  ["/var/log/app/a.log", "/tmp", "/var/log/app"],
  ["/anywhere/a.log", "/"],
  ["/dev/stdout", "/dev/stdout"],
  ["/dev/null"],
  ["a.log"],
  ["./logs/a.log"],
];
for (const [file, ...directories] of allowed) {
  test(`${file} may be written where ${directories.join(" and ") || "no directory"} is named`, () => {
    assert.ok(mayLogTo(directories, file));
  });
}

const refused: readonly (readonly [file: string, ...directories: string[]])[] = [
  ["/tmp/a.log"],
  ["/etc/cron.d/x", "/tmp"],
  ["/tmpx/a.log", "/tmp"],
  ["/tmp/../etc/cron.d/x", "/tmp"],
  ["/tmp/..", "/tmp"],
  ["/var/log/app-2/a.log", "/var/log/app"],
  ["../a.log", "/tmp"],
  ["logs/../../a.log", "/tmp"],
  ["..", "/tmp"],
  [".", "/tmp"],
  ["", "/tmp"],
  ["/tmp/a\0.log", "/tmp"],
  ["token", "/tmp"],
  ["./token", "/tmp"],
  ["logs/../bootstrap.yaml", "/tmp"],
  ["envoy.pid", "/tmp"],
  ["access-logs.fifo", "/tmp"],
  [".token.0123", "/tmp"],
];
for (const [file, ...directories] of refused) {
  test(`${JSON.stringify(file)} may not be written where ${directories.join() || "no directory"} is named`, () => {
    assert.not(mayLogTo(directories, file));
  });
}

test("a directory must be an absolute path in its shortest form", () => {
  assert.is(logDirectoryProblem("/var/log"), undefined);
  assert.is(logDirectoryProblem("/"), undefined);
  assert.is(logDirectoryProblem("logs"), "has to be an absolute path, such as /var/log/envoy");
  assert.is(logDirectoryProblem("/var/../log"), "has to be written /log");
  assert.is(logDirectoryProblem("/tmp/"), "has to be written /tmp");
  assert.is(logDirectoryProblem("/tmp\n"), "contains a control character");
  assert.is(logDirectoryProblem(`/${"a".repeat(1024)}`), "is longer than 1024 characters");
});

test("directories from a proxy are limited and normalized", () => {
  assert.equal(createPlacement({}).logDirectories, ["/tmp"]);
  assert.equal(createPlacement({ logDirectories: [] }).logDirectories, []);
  const many = Array.from({ length: 100 }, (_, index) => `/d${index}`);
  assert.is(createPlacement({ logDirectories: many }).logDirectories.length, 16);
  const junk = ["/b", "a", "", "/a/../b", "/b", "/a", `/${"x".repeat(5000)}`];
  assert.equal(createPlacement({ logDirectories: junk }).logDirectories, ["/a", "/b"]);
  assert.is(
    createPlacement({ logDirectories: ["/b", "/a"] }).key,
    createPlacement({ logDirectories: ["/a", "/b"] }).key,
  );
  const keys = [
    createPlacement({}),
    createPlacement({ logDirectories: [] }),
    createPlacement({ tokenPath: "null" }),
    createPlacement({ tokenPath: "token" }),
  ].map(({ key }) => key);
  assert.is(new Set(keys).size, keys.length);
});

test.run();
