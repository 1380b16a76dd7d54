// A cluster that stays until Ctrl-C: npm run kubernetes:start [-- --api-server] [-- --all-controllers] [-- --image=FILE]
import { parseArgs } from "node:util";
import { startApiServer } from "./api-server.js";
import type { Cluster } from "./cluster.js";
import { kubectlCommand } from "./existing-cluster.js";
import { startNode } from "./node.js";

const { values } = parseArgs({
  options: {
    /** No node: objects are stored, pods don't run. */
    "api-server": { type: "boolean", default: false },
    "all-controllers": { type: "boolean", default: false },
    /** Image archives to load. */
    image: { type: "string", multiple: true, default: [] },
  },
});
const controllers = values["all-controllers"] ? "all" : "trimmed";

const start = performance.now();
const cluster: Cluster & { stop(): Promise<void> } = values["api-server"]
  ? await startApiServer({ controllers })
  : await startNode({ controllers, images: values.image });
console.log(`Ready after ${((performance.now() - start) / 1000).toFixed(1)} s. In another terminal:

  export KUBECONFIG=${cluster.kubeconfig}
  alias kubectl='${kubectlCommand().join(" ")}'
  kubectl get pods --all-namespaces

Ctrl-C ends the cluster and deletes its files.`);

// Keeps this process running.
const idle = setInterval(() => {}, 60_000);
await new Promise<void>((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
});
clearInterval(idle);
await cluster.stop();
