/** Things that wait for the same work, each of them once. */
export interface Slices<T> {
  /** Work on these begins at once, unless others are waiting. */
  add(items: Iterable<T>): void;
  delete(item: T): void;
}

/** Does work in slices that leave the event loop to others in between. */
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
