import { realTimers, type Timers } from "../lib/timers.js";

/** Begins the work when its turn comes; returns undefined at once if too many others are waiting. */
export type Pace = <T>(work: () => Promise<T>) => Promise<T> | undefined;

interface Options {
  /** Beginnings in a second at most, evenly spaced. */
  readonly perSecond: number;
  readonly waiting: number;
  readonly timers?: Timers;
}

/** Limits how often work begins, first come, first served. */
export function createPace({ perSecond, waiting, timers = realTimers }: Options): Pace {
  const every = 1_000 / perSecond;
  let next = Number.NEGATIVE_INFINITY;
  let queued = 0;

  return (work) => {
    const now = timers.now();
    if (next <= now) {
      next = now + every;
      return work();
    }
    if (queued >= waiting) return undefined;
    queued += 1;
    const wait = next - now;
    next += every;
    return new Promise<void>((resolve) => {
      timers.set(resolve, wait);
    }).then(() => {
      queued -= 1;
      return work();
    });
  };
}
