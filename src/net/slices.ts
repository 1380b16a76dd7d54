import type { Steps } from "../lib/steps.js";
import { inTurn } from "./turns.js";

/** How long a slice runs before it yields, give or take one step. */
const sliceMs = 3;

interface Options {
  readonly now: () => number;
  /** Calls back after other work had its turn. */
  readonly later: (work: () => void) => void;
}

/**
 * Runs the steps in slices, queued with the other work of the process, so that the event loop stays free for others in
 * between, however many long tasks run at the same time.
 */
export function inSlices<T>(
  steps: Steps<T>,
  { now, later }: Options = { now: () => performance.now(), later: inTurn },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const slice = () => {
      try {
        const end = now() + sliceMs;
        do {
          const step = steps.next();
          if (step.done === true) {
            resolve(step.value);
            return;
          }
        } while (now() < end);
        later(slice);
      } catch (error) {
        reject(error);
      }
    };
    later(slice);
  });
}
