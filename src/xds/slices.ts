/** A queue of items for the same work; each item is queued once at most. */
export interface Slices<T> {
  /** Starts work on these immediately, unless others are queued. */
  add(items: Iterable<T>): void;
  delete(item: T): void;
}

/** Processes items in slices and yields to the event loop in between. */
export function createSlices<T>(sliceMs: number, work: (item: T) => void): Slices<T> {
  const waiting = new Set<T>();
  let scheduled = false;

  function slice(): void {
    const until = performance.now() + sliceMs;
    try {
      for (const item of waiting) {
        waiting.delete(item);
        work(item);
        if (performance.now() >= until) break;
      }
    } finally {
      scheduled = waiting.size > 0;
      if (scheduled) setImmediate(slice);
    }
  }

  return {
    add(items) {
      for (const item of items) waiting.add(item);
      if (!scheduled) slice();
    },
    delete: (item) => void waiting.delete(item),
  };
}
