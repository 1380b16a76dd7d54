import { realTimers, type Timers } from "../lib/timers.js";

export interface Coalescer {
  /** Something happened: `flush` follows after a quiet moment. */
  poke(): void;
  cancel(): void;
}

/**
 * Joins a burst into one flush: after `quietMs` without a poke, and at the latest `maxMs` after the
 * first one, so that a steady stream of changes still gets through.
 */
export function createCoalescer(
  options: { readonly quietMs: number; readonly maxMs: number; readonly flush: () => void },
  timers: Timers = realTimers,
): Coalescer {
  const { quietMs, maxMs, flush } = options;
  let timer: unknown;
  let deadline = 0;

  function fire(): void {
    timer = undefined;
    flush();
  }

  return {
    poke() {
      const now = timers.now();
      if (timer === undefined) deadline = now + maxMs;
      else timers.clear(timer);
      timer = timers.set(fire, Math.max(0, Math.min(quietMs, deadline - now)));
    },
    cancel() {
      if (timer !== undefined) timers.clear(timer);
      timer = undefined;
    },
  };
}
