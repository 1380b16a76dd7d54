/** Runs the work when its turn comes; returns undefined at once if too many others are waiting. */
export type Semaphore = <T>(work: () => Promise<T>) => Promise<T | undefined>;

/** Limits concurrent work, first come, first served. */
export function createSemaphore(atOnce: number, waiting: number): Semaphore {
  const queue: (() => void)[] = [];
  let running = 0;

  return async (work) => {
    if (running >= atOnce) {
      if (queue.length >= waiting) return undefined;
      // A finished task hands its slot to the next waiter, so that no newcomer can take it.
      await new Promise<void>((resolve) => void queue.push(resolve));
    } else running += 1;
    try {
      return await work();
    } finally {
      const next = queue.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
