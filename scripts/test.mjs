// npm test [-- PATTERN]: install, build what is missing, check, test.
import { spawnSync } from "node:child_process";
import { ensureInstalled, root, runPinned, script } from "./pinned-node.mjs";

/** Prerequisites of the tests; each one that fails counts as one failure in the summary. */
const before = [
  ["check", "scripts/check.mjs"],
  // When no Envoy is available, the tests that need it are skipped and say so.
  ["build", "build.mjs", "--envoy=optional"],
];

await script(() => {
  /** Seconds per part, for the runner's table; CI counts the installation before this. */
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
