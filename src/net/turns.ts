/** Work that waits, of the whole process: there is one event loop. */
const queue: (() => void)[] = [];

/** How long the event loop is kept from others in one turn of it, give or take one piece of work. */
const sliceMs = 5;
/** Looking at the clock for more than this many pieces of work in a turn would be work itself. */
const mostInSlice = 64;

let planned = 0;
let until = 0;

/**
 * Each piece is a callback of its own, so that whatever it leaves to ticks and promises is done, and counted, before
 * the next one begins.
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
 * Runs short work when its turn comes: at once when there is no other, and otherwise in the order it came, in slices
 * that leave the event loop to others in between. A thousand clients that come at the same time are served this way.
 */
export function inTurn(work: () => void): void {
  queue.push(work);
  if (planned === 0) plan();
}
