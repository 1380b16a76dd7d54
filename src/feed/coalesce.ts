import { realTimers, type Timers } from "../lib/timers.js";

export interface Coalescer {
  /** Reports an event: `flush` is called after a quiet period. */
  poke(): void;
  cancel(): void;
}

/**
 * Coalesces a burst of events into one flush: `quietMs` after the last poke, and at the latest `maxMs` after the
 * first one, so that a steady stream of changes is still flushed.
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
