// npm test [-- PATTERN]: install, build what is missing, check, test.
import { spawnSync } from "node:child_process";
import { ensureInstalled, root, runPinned, script } from "./pinned-node.mjs";

await script(() => {
  ensureInstalled();
  for (const words of [["build.mjs"], ["scripts/check.mjs"]]) {
    const { status } = spawnSync(process.execPath, words, { cwd: root, stdio: "inherit" });
    if (status !== 0) throw new Error(`${words[0]} failed; its message stands above`);
  }
  return runPinned(["--import", "tsx", "tests/support/runner.ts", ...process.argv.slice(2)]);
});
