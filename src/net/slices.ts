import type { Steps } from "../lib/steps.js";
import { inTurn } from "./turns.js";

/** For how long steps go on before the others have their turn, give or take one step. */
const sliceMs = 3;

interface Options {
  readonly now: () => number;
  /** Calls back when others had their turn. */
  readonly later: (work: () => void) => void;
}

/**
 * Does the steps in slices, in the turns of the process: the event loop belongs to others in between, however many do
 * long work at the same time.
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
