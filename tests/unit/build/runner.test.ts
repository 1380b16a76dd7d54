import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { missingClusterFailsCi } from "../../support/kubernetes-need.js";
import { suite } from "../../support/suite.js";

const test = suite("the test runner");

/** The suite itself may run below a runner that set the variable for earlier results. */
const parts = { TEST_PART_SECONDS: "{}" };

const suiteFile = path.resolve("tests/support/suite.ts");

/** Runs the runner over one test file with this text. */
function run(text: string, deadlineMs = 60_000, environment: Readonly<Record<string, string>> = {}) {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-runner-"));
  try {
    fs.mkdirSync(path.join(work, "unit"));
    fs.writeFileSync(path.join(work, "package.json"), '{"type":"module"}');
    fs.writeFileSync(path.join(work, "unit", "sample.test.ts"), text);
    const { status, stdout } = spawnSync(process.execPath, ["--import", "tsx", "tests/support/runner.ts"], {
      encoding: "utf8",
      env: {
        ...process.env,
        TEST_DIRECTORY: work,
        TEST_FILE_DEADLINE_MS: String(deadlineMs),
        CI: "",
        ...parts,
        ...environment,
      },
    });
    return { status, last: stdout.trim().split("\n").at(-1), stdout };
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

/** Runs the runner, with these words, over files of its directory kubernetes/, where no cluster can be started. */
function runKubernetes(files: Readonly<Record<string, string>>, words: readonly string[] = [], ci = false) {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-runner-"));
  try {
    fs.mkdirSync(path.join(work, "kubernetes"));
    fs.mkdirSync(path.join(work, "unit"));
    fs.writeFileSync(path.join(work, "package.json"), '{"type":"module"}');
    fs.writeFileSync(path.join(work, "unit", "other.test.ts"), `${head}test("other", () => {});\ntest.run();\n`);
    for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(work, "kubernetes", name), text);
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ["--import", "tsx", "tests/support/runner.ts", ...words],
      {
        encoding: "utf8",
        env: {
          ...process.env,
          ...parts,
          TEST_DIRECTORY: work,
          XDG_CACHE_HOME: path.join(work, "no-cache"),
          USE_EXISTING_CLUSTER: "",
          CI: String(ci),
        },
      },
    );
    return { status, last: stdout.trim().split("\n").at(-1), stdout, stderr };
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

/** A zombie, which nobody has waited for yet, is no longer running. */
function isAlive(pid: number): boolean {
  const status = `/proc/${pid}/status`;
  return fs.existsSync(status) && !/^State:\s+Z/m.test(fs.readFileSync(status, "utf8"));
}

const head = `import { suite } from ${JSON.stringify(suiteFile)};\nconst test = suite("sample");\n`;

test("counts what passed and what failed", () => {
  const text = `${head}test("good", () => {});\ntest("bad", () => { throw new Error("why it failed"); });\ntest.run();\n`;
  const { status, last, stdout } = run(text);
  assert.is(status, 1);
  assert.is(last, "1 passed, 1 failed");
  assert.match(stdout, "why it failed");
});

test("a file that throws while it loads is a failure", () => {
  const { status, last } = run('throw new Error("at load");\n');
  assert.is(status, 1);
  assert.is(last, "0 passed, 1 failed");
});

test("a file that exits its process is a failure", () => {
  const { status, last } = run(`${head}test("gone", () => { process.exit(0); });\ntest.run();\n`);
  assert.is(status, 1);
  assert.is(last, "0 passed, 1 failed");
});

test("a file that hangs is ended at its deadline and is a failure", () => {
  const { status, last, stdout } = run(`${head}test("endless", () => { for (;;); });\ntest.run();\n`, 1500);
  assert.is(status, 1);
  assert.is(last, "0 passed, 1 failed");
  assert.match(stdout, "ended after its deadline");
});

test("a file has the deadline that its first line asks for", () => {
  const slow = 'test("slow", () => new Promise((resolve) => setTimeout(resolve, 1500)));\ntest.run();\n';
  assert.is(run(`// deadline: 20 s\n${head}${slow}`, 1000).last, "1 passed, 0 failed");
  const short = run(`// deadline: 1 s\n${head}test("endless", () => { for (;;); });\ntest.run();\n`);
  assert.match(short.stdout, "ended after its deadline of 1 s");
});

test("no test at all is a failure", () => {
  const { status, last } = run(`${head}test.run();\n`);
  assert.is(status, 1);
  assert.is(last, "0 passed, 1 failed");
});

test("the time is printed by part, those before the tests included, with the slowest files, above the closing line", () => {
  const text = `${head}test("good", () => {});\ntest.run();\n`;
  const { status, stdout, last } = run(text, 60_000, { TEST_PART_SECONDS: '{"check":9.14,"build":20}' });
  assert.is(status, 0);
  const seconds = (name: string) => {
    const line = stdout.split("\n").find((each) => each.endsWith(`s  ${name}`)) ?? "";
    assert.match(line, /^ *[\d.]+ s {2}/, `there is no line for ${name} in ${stdout}`);
    return Number.parseFloat(line);
  };
  assert.is(seconds("check"), 9.1);
  assert.is(seconds("build"), 20);
  const sum = 29.1 + seconds("unit") + seconds("system");
  assert.ok(Math.abs(seconds("total") - sum) < 0.3, stdout);
  assert.match(stdout.slice(stdout.indexOf("Slowest files")), "sample.test.ts");
  assert.is(last, "1 passed, 0 failed");
});

test("a pattern that selects nothing is a failure, also when it is no regular expression", () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", "tsx", "tests/support/runner.ts", "no-such-(file"],
    { encoding: "utf8" },
  );
  assert.is(status, 1);
  assert.match(stderr, "no test file matches no-such-(file");
  assert.is(stdout, "\n0 passed, 1 failed\n");
});

test("a failing hook fails its tests, and says why", () => {
  const text = `${head}test.before(() => { throw new Error("no ground"); });\ntest("one", () => {});\ntest.run();\n`;
  const { status, last, stdout } = run(text);
  assert.is(status, 1);
  assert.is(last, "0 passed, 1 failed");
  assert.match(stdout, "no ground");
});

test("a process that a test leaves running is killed with it", () => {
  const text =
    `import { spawn } from "node:child_process";\n${head}` +
    'test("leaves", () => console.log("left", spawn("sleep", ["1000"], { stdio: "inherit" }).pid, "behind"));\n' +
    'test("fails", () => { throw new Error("so that the output is shown"); });\ntest.run();\n';
  const { stdout } = run(text);
  const pid = /left (\d+) behind/.exec(stdout)?.[1];
  assert.ok(pid, stdout);
  assert.not.ok(isAlive(Number(pid)));
});

const onCluster = (needs: string) => `import { suite } from ${JSON.stringify(suiteFile)};
const test = suite("sample", { needs: ${needs} });
test("one", () => {});
test("another", () => {});
test.run();
`;

test("without a cluster its tests are skipped with their number and the reason, which CI lets pass for now", () => {
  for (const ci of [false, true]) {
    const { status, last, stderr } = runKubernetes({ "node.test.ts": onCluster('"kubernetes"') }, [], ci);
    assert.is(status, ci && missingClusterFailsCi ? 1 : 0);
    assert.is(last, "1 passed, 0 failed, 2 skipped");
    assert.match(stderr, "2 tests of 1 files were skipped for want of a Kubernetes cluster:");
    assert.match(stderr, "npm run kubernetes:build");
  }
});

test("a test that lacks something besides a cluster still fails CI", () => {
  const text = onCluster('["kubernetes", "no-such-program"]');
  assert.is(runKubernetes({ "node.test.ts": text }, [], true).status, 1);
});

test("a file may be kept for npm run test:kubernetes, which runs nothing else", () => {
  const text = `${head}test("slow", () => {});\ntest.run();\n`;
  const files = {
    "quick.test.ts": text,
    "slow.test.ts": `// deadline: 20 s\n// only in npm run test:kubernetes\n${text}`,
  };
  assert.is(runKubernetes(files).last, "2 passed, 0 failed");
  assert.is(runKubernetes(files, ["--kubernetes"]).last, "2 passed, 0 failed");
  assert.not.match(runKubernetes(files).stdout, "slow.test.ts");
  assert.not.match(runKubernetes(files, ["--kubernetes"]).stdout, "other.test.ts");
  assert.match(runKubernetes(files, ["kubernetes/slow"]).stdout, "slow.test.ts");
});

test.run();
