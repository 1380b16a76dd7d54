// Starts a node and waits to be killed: node.test.ts shows that nothing of it stays.
import { startNode } from "./node.js";

const { own } = await startNode({ dns: false });
process.send?.({ pid: own.pid, cgroup: own.cgroup, directory: own.directory });
setInterval(() => {}, 60_000);
