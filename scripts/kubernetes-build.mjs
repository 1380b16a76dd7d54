// npm run kubernetes:build: what the tests on Kubernetes need, in the cache outside the working tree.
import fs from "node:fs";
import { fileURLToPath } from "node:url";
import { ensureInstalled, pinnedNode, runPinned, script } from "./pinned-node.mjs";

await script(async () => {
  ensureInstalled();
  if (process.execPath !== fs.realpathSync(pinnedNode())) return runPinned([fileURLToPath(import.meta.url)]);
  const { findKit, kubernetesVersion } = await import("./kubernetes/kit.mjs");
  const { buildKit } = await import("./kubernetes/build-kit.mjs");
  const { buildHelm } = await import("./kubernetes/helm.mjs");
  const { missing } = findKit();
  if (missing.length > 0) {
    const first = missing.includes("components")
      ? "; the first build takes half an hour of CPU time and 5 GB of disk"
      : "";
    console.log(`Building Kubernetes ${kubernetesVersion} for tests: ${missing.join(", ")}${first}`);
  }
  const { kit } = await buildKit();
  console.log(`Kubernetes ${kubernetesVersion} for tests is in ${kit.components} and beside it`);
  console.log(`Helm for tests is ${await buildHelm()}`);
});
