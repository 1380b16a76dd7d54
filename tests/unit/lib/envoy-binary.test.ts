import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import {
  candidates,
  diagnose,
  explainLoaderFailure,
  explainOldEnvoy,
  findEnvoy,
} from "../../../src/lib/envoy-binary.js";
import { suite } from "../../support/suite.js";

const test = suite("kuma-dp looks for Envoy");

const place = { searchPath: "/usr/bin:bin::/bin", self: "/opt/kuma/bin/kuma", workingDirectory: "/home/me" };

test("in PATH, then beside kuma-dp, then in the working directory; never in relative entries of PATH", () => {
  assert.equal(candidates("envoy", place), ["/usr/bin/envoy", "/bin/envoy", "/opt/kuma/bin/envoy", "/home/me/envoy"]);
});

test("only at a configured path, relative to the working directory", () => {
  assert.equal(candidates("builds/envoy-1.36", place), ["/home/me/builds/envoy-1.36"]);
  assert.equal(candidates("/srv/envoy", place), ["/srv/envoy"]);
  assert.equal(candidates("./envoy", place), ["/home/me/envoy"]);
});

test("by a configured name in the same places as by the default one", () => {
  assert.equal(candidates("envoy-1.36", { ...place, searchPath: "/bin" }), [
    "/bin/envoy-1.36",
    "/opt/kuma/bin/envoy-1.36",
    "/home/me/envoy-1.36",
  ]);
});

test("once in a place that is listed twice", () => {
  assert.equal(candidates("envoy", { ...place, searchPath: "/opt/kuma/bin:/bin:/bin" }), [
    "/opt/kuma/bin/envoy",
    "/bin/envoy",
    "/home/me/envoy",
  ]);
});

test("a configured path that can't be executed is rejected with the reason, whatever exists elsewhere", () => {
  const root = realpathSync(mkdtempSync(path.join(tmpdir(), "lookup-")));
  try {
    writeFileSync(path.join(root, "envoy"), "#!/bin/sh\n", { mode: 0o755 });
    writeFileSync(path.join(root, "plain"), "text", { mode: 0o644 });
    const here = { searchPath: root, self: path.join(root, "kuma"), workingDirectory: root };
    for (const [configured, reason] of [
      ["./missing", `--binary-path ./missing is not an Envoy: ${root}/missing does not exist`],
      [`${root}/envoy/x`, "does not exist"],
      [root, `${root} is a directory`],
      ["./plain", `${root}/plain can't be executed by this user`],
      ["/dev/null", "/dev/null is no file"],
    ] as const) {
      assert.throws(
        () => findEnvoy(configured, here),
        (error: Error) => error.message.includes(reason),
        configured,
      );
    }
    assert.throws(() => findEnvoy("no-such", here), /could not find an executable "no-such"; set --binary-path, or/);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("files that cannot be executed are skipped, links are resolved", () => {
  const root = realpathSync(mkdtempSync(path.join(tmpdir(), "lookup-")));
  try {
    const [first, second] = [path.join(root, "first"), path.join(root, "second")];
    mkdirSync(path.join(first, "envoy"), { recursive: true });
    mkdirSync(second);
    writeFileSync(path.join(root, "real"), "#!/bin/sh\n", { mode: 0o755 });
    symlinkSync("../real", path.join(second, "envoy"));
    const found = findEnvoy("envoy", {
      searchPath: `${first}:${second}`,
      self: "/nowhere/kuma",
      workingDirectory: root,
    });
    assert.is(found, path.join(root, "real"));
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("if there is none, every path that was tried is listed", () => {
  const nowhere = { searchPath: "/no/such", self: "/no/kuma/kuma", workingDirectory: "/no/where" };
  assert.throws(
    () => findEnvoy("envoy", nowhere),
    (error: Error) =>
      ["/no/such/envoy", "/no/kuma/envoy", "/no/where/envoy"].every((file) => error.message.includes(file)),
  );
});

test("the loader's error for an old C library is explained", () => {
  const output = "envoy: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.30' not found (required by envoy)\n";
  assert.match(explainLoaderFailure(output) ?? "", /glibc 2\.30.*2\.31/);
  const library = "envoy: error while loading shared libraries: libm.so.6: cannot open shared object file\n";
  assert.match(explainLoaderFailure(library) ?? "", /libm\.so\.6/);
  assert.is(explainLoaderFailure("some error of Envoy's own"), undefined);
});

test("an Envoy without the v3 API is too old; a newer one and other programs are not", async () => {
  const words = (version: string) =>
    `\n./envoy  version: 68fe53a889416fd8570506232052b06f5a531541/${version}/Clean/RELEASE/BoringSSL\n`;
  assert.match(explainOldEnvoy(words("1.12.0")) ?? "", /it is Envoy 1\.12\.0, which is too old: .*1\.18 or newer/);
  for (const fine of [words("1.18.0"), words("1.39.3"), words("2.0.1"), "v22.1.0\n", ""]) {
    assert.is(explainOldEnvoy(fine), undefined, fine);
  }
  const root = mkdtempSync(path.join(tmpdir(), "lookup-"));
  try {
    const old = path.join(root, "envoy");
    writeFileSync(old, `#!/bin/sh\necho "$0  version: abc/1.12.0/Clean/RELEASE"\n`, { mode: 0o755 });
    assert.match((await diagnose(old, 5000)) ?? "", /Envoy 1\.12\.0, which is too old/);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("a binary whose loader is missing is diagnosed, one that runs is not", async () => {
  const root = mkdtempSync(path.join(tmpdir(), "lookup-"));
  try {
    const noLoader = path.join(root, "no-loader");
    writeFileSync(noLoader, "#!/no/such/loader\n", { mode: 0o755 });
    assert.match((await diagnose(noLoader, 5000)) ?? "", /glibc/);
    const fine = path.join(root, "fine");
    writeFileSync(fine, "#!/bin/sh\nexit 0\n", { mode: 0o755 });
    assert.is(await diagnose(fine, 5000), undefined);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test.run();
