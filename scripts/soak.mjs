// npm run soak:NAME: builds what is missing and runs tests/soak/NAME.ts.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { ensureInstalled, root, runPinned, script } from "./pinned-node.mjs";

await script(() => {
  const [name, ...rest] = process.argv.slice(2);
  const file = path.join("tests", "soak", `${name}.ts`);
  if (!fs.existsSync(path.join(root, file))) throw new Error(`there is no soak "${name}" in tests/soak`);
  ensureInstalled();
  if (spawnSync(process.execPath, ["build.mjs"], { cwd: root, stdio: "inherit" }).status !== 0) return 1;
  // Ctrl-C reaches the soak, too, which saves its progress and exits by itself.
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {});
  return runPinned(["--import", "tsx", file, ...rest], { KUMA_BIN: path.join(root, "dist", "bin") });
});
