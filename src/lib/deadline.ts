import { setTimeout as wait } from "node:timers/promises";

interface Backoff {
  /** Milliseconds to wait before the next try. */
  next(): number;
  /** After a success: start again from the first wait. */
  reset(): void;
}

/**
 * Waits that double from `first` up to `max` milliseconds. With jitter (the default) each is
 * between half and all of that, so that many clients of a server that came back don't knock at once.
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
