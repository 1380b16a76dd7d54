import { killProcess } from "./kill-process.js";
import type { Recorded } from "./orphan.js";
import type { ProcessTable } from "./process-facts.js";
import type { Child } from "./supervisor.js";

const pollMs = 200;

/**
 * Wraps an Envoy that this process started before it executed itself again. It is still our child, but the runtime does
 * not know it: its exit code is lost, and its exit is detected by polling.
 */
export function adopt({ pid, startTime }: Recorded, processes: ProcessTable): Child {
  const lives = () => processes(pid)?.startTime === startTime;
  const exit = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    const timer = setInterval(() => {
      if (lives()) return;
      clearInterval(timer);
      resolve({ code: null, signal: null });
    }, pollMs);
  });
  const kill: Child["kill"] = (signal) => {
    if (lives()) killProcess(pid, signal);
  };
  return { pid, kill, exit };
}
