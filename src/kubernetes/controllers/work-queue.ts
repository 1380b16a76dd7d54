import { realTimers, type Timers } from "../../lib/timers.js";

/** Keys whose work is due, each at most once at a time. */
export interface WorkQueue<Key> {
  /** The key's work is due soon. Does nothing more while it is already due; runs it again if it is running now. */
  add(key: Key): void;
  /** The same for work that is part of a bulk: most of the time it waits for that of `add`. */
  addBulk(key: Key): void;
  /** Nothing begins while the queue is paused; what is running ends. */
  pause(): void;
  resume(): void;
  /** Keys that are due, waiting after a failure, or running. */
  readonly size: number;
  /** Starts nothing more, and resolves when what is running has ended. */
  close(): Promise<void>;
}

interface Options<Key> {
  /** Works on a key. A rejection is retried after a back-off, for ever. */
  readonly work: (key: Key) => Promise<void>;
  /** Hears of each failure: the number of failures since the last success, at least 1. */
  readonly failed: (key: Key, error: unknown, failures: number) => void;
  readonly timers?: Timers;
  readonly random?: () => number;
}

/** Of the work queues. */
export const queueTimes = {
  /** How long a burst of changes is gathered before its work begins, in milliseconds. */
  coalesceMs: 100,
  /** How many keys are worked on at a time. */
  atOnce: 4,
  /** One of so many keys is from a bulk, as long as there are others. */
  bulkTurn: 4,
  /** Waits after a failure: doubled by each one, with jitter. */
  firstRetryMs: 5,
  longestRetryMs: 60_000,
} as const;

/**
 * A queue in the manner of Kubernetes controllers: changes of 100 ms are gathered, a key that is added many times is
 * worked on once, never twice at a time, four keys at most at the same time; a key that fails is tried again after 5 ms
 * to 60 s without delaying others. A bulk of keys does not delay single ones by much, nor do those hold it up.
 */
export function createWorkQueue<Key>({
  work,
  failed,
  timers = realTimers,
  random = Math.random,
}: Options<Key>): WorkQueue<Key> {
  /** Still being gathered. */
  const fresh = new Set<Key>();
  /** In the order in which they became due. */
  const due = new Set<Key>();
  const bulk = new Set<Key>();
  let turn = 0;
  const running = new Set<Key>();
  const failures = new Map<Key, number>();
  const retries = new Map<Key, unknown>();
  let gathering: unknown;
  let paused = false;
  let closed = false;
  let idle: (() => void) | undefined;

  /** A key that is running stays due and has its turn when it is done. */
  function firstOf(keys: ReadonlySet<Key>): Key | undefined {
    for (const key of keys) if (!running.has(key)) return key;
    return undefined;
  }

  function begin(): void {
    while (!paused && !closed && running.size < queueTimes.atOnce) {
      const isBulkTurn = turn % queueTimes.bulkTurn === queueTimes.bulkTurn - 1;
      const key = isBulkTurn ? (firstOf(bulk) ?? firstOf(due)) : (firstOf(due) ?? firstOf(bulk));
      if (key === undefined) return;
      turn++;
      run(key);
    }
  }

  function gather(): void {
    if (gathering !== undefined || paused || closed || fresh.size === 0) return;
    gathering = timers.set(() => {
      gathering = undefined;
      for (const key of fresh) due.add(key);
      fresh.clear();
      begin();
    }, queueTimes.coalesceMs);
  }

  function run(key: Key): void {
    due.delete(key);
    bulk.delete(key);
    timers.clear(retries.get(key));
    retries.delete(key);
    running.add(key);
    work(key)
      .then(
        () => void failures.delete(key),
        (error: unknown) => retry(key, error),
      )
      .finally(() => {
        running.delete(key);
        if (closed && running.size === 0) idle?.();
        begin();
      });
  }

  function retry(key: Key, error: unknown): void {
    const count = (failures.get(key) ?? 0) + 1;
    failures.set(key, count);
    failed(key, error, count);
    if (closed) return;
    const { firstRetryMs, longestRetryMs } = queueTimes;
    const whole = Math.min(firstRetryMs * 2 ** Math.min(count - 1, 30), longestRetryMs);
    retries.set(
      key,
      timers.set(
        () => {
          retries.delete(key);
          due.add(key);
          begin();
        },
        whole * (0.5 + random() / 2),
      ),
    );
  }

  return {
    add(key) {
      if (closed || due.has(key)) return;
      fresh.add(key);
      gather();
    },
    addBulk(key) {
      if (closed || due.has(key)) return;
      bulk.add(key);
      begin();
    },
    pause() {
      paused = true;
      timers.clear(gathering);
      gathering = undefined;
    },
    resume() {
      paused = false;
      gather();
      begin();
    },
    get size() {
      return new Set([...fresh, ...due, ...bulk, ...running, ...retries.keys()]).size;
    },
    async close() {
      closed = true;
      timers.clear(gathering);
      for (const timer of retries.values()) timers.clear(timer);
      retries.clear();
      fresh.clear();
      due.clear();
      bulk.clear();
      if (running.size > 0) {
        await new Promise<void>((resolve) => {
          idle = resolve;
        });
      }
    },
  };
}
