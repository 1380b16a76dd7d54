import type { Timers } from "../../src/lib/timers.js";

/** The longest delay of a Node timer; longer ones fire at once. */
const longestTimerMs = 2 ** 31 - 1;

/** A clock that only advances when a test says so, with timers that follow it. */
export function createFakeTime(start = Date.parse("2026-01-01T00:00:00Z")) {
  const set = new Map<number, { readonly at: number; readonly callback: () => void }>();
  let elapsed = 0;
  let slept = 0;
  let next = 0;

  const timers: Timers = {
    set(callback, milliseconds) {
      if (milliseconds > longestTimerMs) throw new Error(`a timer can't run for ${milliseconds} ms`);
      set.set(next, { at: elapsed + milliseconds, callback });
      return next++;
    },
    clear: (timer) => void set.delete(timer as number),
    now: () => elapsed,
  };

  function soonest(until: number): number | undefined {
    let found: number | undefined;
    for (const [id, { at }] of set) {
      if (at <= until && at < (set.get(found ?? -1)?.at ?? Number.POSITIVE_INFINITY)) found = id;
    }
    return found;
  }

  return {
    timers,
    /** Milliseconds since 1970. */
    now: () => start + elapsed + slept,
    /** The number of pending timers. */
    get waiting() {
      return set.size;
    },
    /** Advances the clock; each timer that becomes due fires at its own time. */
    pass(milliseconds: number): void {
      const until = elapsed + milliseconds;
      for (let id = soonest(until); id !== undefined; id = soonest(until)) {
        const timer = set.get(id);
        set.delete(id);
        elapsed = Math.max(elapsed, timer?.at ?? 0);
        timer?.callback();
      }
      elapsed = until;
    },
    /** Advances the clock but not the timers, as when the machine sleeps. */
    sleep(milliseconds: number): void {
      slept += milliseconds;
    },
  };
}

export type FakeTime = ReturnType<typeof createFakeTime>;
