// npm test [-- PATTERN]: install, build what is missing, check, test.
import { spawnSync } from "node:child_process";
import { ensureInstalled, root, runPinned, script } from "./pinned-node.mjs";

/** What must be in order before a test can say anything; each counts as one failure in the closing line. */
const before = [
  ["scripts/check.mjs"],
  // Where no Envoy can be had, the tests that need it are skipped and say so.
  ["build.mjs", "--envoy=optional"],
];

await script(() => {
  ensureInstalled();
  for (const words of before) {
    if (spawnSync(process.execPath, words, { cwd: root, stdio: "inherit" }).status === 0) continue;
    console.error(`${words[0]} failed, so no test was run; its message stands above`);
    console.log("\n0 passed, 1 failed");
    return 1;
  }
  return runPinned(["--import", "tsx", "tests/support/runner.ts", ...process.argv.slice(2)]);
});
