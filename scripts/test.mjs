// npm test [-- PATTERN]: install, build what is missing, check, test.
import { spawnSync } from "node:child_process";
import { ensureInstalled, root, runPinned, script } from "./pinned-node.mjs";

/** What must be in order before a test can say anything; each counts as one failure in the closing line. */
const before = [
  ["check", "scripts/check.mjs"],
  // Where no Envoy can be had, the tests that need it are skipped and say so.
  ["build", "build.mjs", "--envoy=optional"],
];

await script(() => {
  /** Seconds by part, for the table that the runner prints; CI counts what it installed before. */
  const seconds = JSON.parse(process.env.TEST_PART_SECONDS ?? "{}");
  const timed = (part, body) => {
    const start = performance.now();
    const result = body();
    seconds[part] = (performance.now() - start) / 1000;
    return result;
  };
  timed("npm ci", ensureInstalled);
  for (const [part, ...words] of before) {
    const run = () => spawnSync(process.execPath, words, { cwd: root, stdio: "inherit" });
    if (timed(part, run).status === 0) continue;
    console.error(`${words[0]} failed, so no test was run; its message stands above`);
    console.log("\n0 passed, 1 failed");
    return 1;
  }
  return runPinned(["--import", "tsx", "tests/support/runner.ts", ...process.argv.slice(2)], {
    TEST_PART_SECONDS: JSON.stringify(seconds),
  });
});
