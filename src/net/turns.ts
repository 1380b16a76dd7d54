/** Pending work of the whole process: there is one event loop. */
const queue: (() => void)[] = [];

/** How long one turn may occupy the event loop, give or take one piece of work. */
const sliceMs = 5;
/** Maximum pieces of work in a turn; scheduling and timing more than these would itself be costly. */
const mostInSlice = 64;

let planned = 0;
let until = 0;

/**
 * Each piece runs in its own callback, so that the ticks and promises it leaves behind run, and are counted, before the
 * next one.
 */
function plan(): void {
  planned = Math.min(queue.length, mostInSlice);
  until = 0;
  for (let count = 0; count < planned; count++) setImmediate(next);
}

function next(): void {
  const now = performance.now();
  if (until === 0) until = now + sliceMs;
  planned -= 1;
  try {
    if (now < until) queue.shift()?.();
  } finally {
    if (planned === 0) plan();
  }
}

/**
 * Queues short work. It runs at once if nothing else is pending, otherwise in the order it was queued, in slices that
 * free the event loop for others in between. This is how a thousand clients that connect at the same time are served.
 */
export function inTurn(work: () => void): void {
  queue.push(work);
  if (planned === 0) plan();
}
