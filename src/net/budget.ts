/** A part of a budget, held by one peer. */
export interface Share {
  /** What the peer holds from now on, in the budget's unit; 0 gives the place in the order back. */
  hold(amount: number): void;
}

/** An amount that all peers of the process share. */
export interface Budget {
  /** `evict` has to give up what is held; it is called for the peer that has held something for longest. */
  share(evict: () => void): Share;
  /** What is held in all. */
  held(): number;
}

/** A budget of this size: beyond it whoever has held a part for longest loses it first. */
export function createBudget(limit: number): Budget {
  /** In the order in which their holders began to hold something. */
  const shares = new Map<object, { amount: number; readonly evict: () => void }>();
  let total = 0;

  function release(key: object): void {
    total -= shares.get(key)?.amount ?? 0;
    shares.delete(key);
  }

  return {
    share(evict) {
      const key = {};
      return {
        hold(amount) {
          const entry = shares.get(key);
          if (amount === 0) {
            if (entry !== undefined) release(key);
            return;
          }
          total += amount - (entry?.amount ?? 0);
          if (entry === undefined) shares.set(key, { amount, evict });
          else entry.amount = amount;
          while (total > limit) {
            const [oldest] = shares;
            if (oldest === undefined) return;
            release(oldest[0]);
            oldest[1].evict();
          }
        },
      };
    },
    held: () => total,
  };
}

/**
 * Unfinished messages and bodies of all servers of this process, in bytes: a peer that announces a message and never
 * ends it costs memory for as long as it likes.
 */
export const unfinishedBytes: Budget = createBudget(64 * 1024 * 1024);
