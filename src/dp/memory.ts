import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Returns the memory that startup needed to the operating system. There is one kuma-dp for every instance of every
 * service, and from here on it mostly waits: an idle V8 would keep its grown heap for the life of the process.
 */
export function releaseStartUpMemory(): void {
  setFlagsFromString("--expose-gc");
  // Only contexts that are created after the flag was set have the function.
  const collect: unknown = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  if (typeof collect === "function") collect({ type: "major", execution: "sync", flavor: "last-resort" });
}
