/** Does the work when its turn comes; undefined, at once, when too many others wait already. */
export type Semaphore = <T>(work: () => Promise<T>) => Promise<T | undefined>;

/** Lets a few works go on at a time, first come first served. */
export function createSemaphore(atOnce: number, waiting: number): Semaphore {
  const queue: (() => void)[] = [];
  let running = 0;

  return async (work) => {
    if (running >= atOnce) {
      if (queue.length >= waiting) return undefined;
      // Whoever ends hands its place over, so that nobody who comes now can take it.
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
