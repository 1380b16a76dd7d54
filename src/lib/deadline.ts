import { setTimeout as wait } from "node:timers/promises";

interface Backoff {
  /** Milliseconds to wait before the next attempt. */
  next(): number;
  /** Restarts from the first delay, after a success. */
  reset(): void;
}

/**
 * Exponential backoff from `first` up to `max` milliseconds. With jitter (the default) each delay is between half and
 * all of that, so that the clients of a server that comes back don't reconnect at once.
 */
export function backoff(options: { first: number; max: number; jitter?: boolean; random?: () => number }): Backoff {
  const { first, max, jitter = true, random = Math.random } = options;
  let current = first;
  return {
    next() {
      const whole = Math.min(current, max);
      current = Math.min(current * 2, max);
      return jitter ? whole * (0.5 + random() / 2) : whole;
    },
    reset() {
      current = first;
    },
  };
}

/** Resolves after the time, or rejects with an AbortError as soon as the signal fires. */
export async function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  await wait(milliseconds, undefined, signal ? { signal } : {});
}
