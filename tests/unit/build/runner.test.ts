import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import * as assert from "uvu/assert";
import { suite } from "../../support/suite.js";

const test = suite("the test runner");

const suiteFile = path.resolve("tests/support/suite.ts");
const directory = path.resolve("tests/unit/build");

/** Runs the runner over one file with this text; the file stands beside this one for the time of the run. */
function run(text: string, deadlineMs = 20_000) {
  const work = fs.mkdtempSync(path.join(directory, "sample-"));
  try {
    fs.writeFileSync(path.join(work, "sample.test.ts"), text);
    const { status, stdout } = spawnSync(
      process.execPath,
      ["--import", "tsx", "tests/support/runner.ts", `${path.basename(work)}/sample`],
      { encoding: "utf8", env: { ...process.env, TEST_FILE_DEADLINE_MS: String(deadlineMs), CI: "" } },
    );
    return { status, last: stdout.trim().split("\n").at(-1), stdout };
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
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

test("a file that ends its process is a failure", () => {
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

test("no test at all is a failure", () => {
  const { status } = run(`${head}test.run();\n`);
  assert.is(status, 1);
});

test.run();
