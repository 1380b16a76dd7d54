import { killProcess } from "./kill-process.js";
import type { Recorded } from "./orphan.js";
import type { ProcessTable } from "./process-facts.js";
import type { Child } from "./supervisor.js";

const pollMs = 200;

/**
 * An Envoy that this process started before it executed itself anew: it still is our child, but the runtime knows
 * nothing of it, so that its exit code is lost and its end has to be looked for.
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
