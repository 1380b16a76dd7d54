// npm run bench:NAME: builds what is missing and runs tests/bench/NAME.ts.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { ensureInstalled, root, runPinned, script } from "./pinned-node.mjs";

await script(() => {
  const [name, ...rest] = process.argv.slice(2);
  const file = path.join("tests", "bench", `${name}.ts`);
  if (!fs.existsSync(path.join(root, file))) throw new Error(`there is no benchmark "${name}" in tests/bench`);
  ensureInstalled();
  if (spawnSync(process.execPath, ["build.mjs"], { cwd: root, stdio: "inherit" }).status !== 0) return 1;
  return runPinned(["--import", "tsx", file, ...rest], { KUMA_BIN: path.join(root, "dist", "bin") });
});
