/** Runs work in the order it came, in slices that leave the event loop to others in between. */
export type Pacer = (work: () => Promise<void>) => void;

/** How much of what a piece of work waits for may be under way at once. */
const mostAtOnce = 8;

/**
 * A pacer whose slices are no longer than one piece of work over `sliceMs`. Work that waits for another thread (an RSA
 * key) doesn't hold up the loop, and at most eight pieces of it run at a time.
 */
export function createPacer(sliceMs: number): Pacer {
  const queue: (() => Promise<void>)[] = [];
  let running = 0;
  let scheduled = false;

  function schedule(): void {
    if (scheduled || queue.length === 0 || running >= mostAtOnce) return;
    scheduled = true;
    setImmediate(slice);
  }

  function slice(): void {
    scheduled = false;
    const until = performance.now() + sliceMs;
    do {
      const work = queue.shift();
      if (work === undefined) return;
      running += 1;
      const done = () => {
        running -= 1;
        schedule();
      };
      // Whoever gave the work knows what its failure means; the others' turn comes all the same.
      work().then(done, done);
    } while (running < mostAtOnce && performance.now() < until);
    schedule();
  }

  return (work) => {
    queue.push(work);
    schedule();
  };
}
