// npm run kubernetes:start: a cluster to try things in, until Ctrl-C.
import { ensureInstalled, runPinned, script } from "./pinned-node.mjs";

await script(() => {
  ensureInstalled();
  // Ctrl-C reaches the cluster, too, which exits by itself.
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {});
  return runPinned(["--import", "tsx", "tests/kubernetes/start.ts", ...process.argv.slice(2)]);
});
