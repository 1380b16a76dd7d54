import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Gives the memory that starting took back to the machine. There is one kuma-dp for every instance of every service,
 * and from here on it only waits: without work V8 would keep its grown heap for as long as the process lives.
 */
export function releaseStartUpMemory(): void {
  setFlagsFromString("--expose-gc");
  // Only a context that is made after the flag was set has the function.
  const collect: unknown = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  if (typeof collect === "function") collect({ type: "major", execution: "sync", flavor: "last-resort" });
}
