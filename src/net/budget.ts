/** One peer's share of a budget. */
export interface Share {
  /** Sets what the peer holds, in the budget's unit; 0 also gives up its place in the eviction order. */
  hold(amount: number): void;
}

/** A limit that all peers of the process share. */
export interface Budget {
  /**
   * `evict` must release what the peer holds; it is called for the peer that has been holding something for the longest
   * time.
   */
  share(evict: () => void): Share;
  /** The total held by all peers. */
  held(): number;
}

/**
 * A budget of this size. When it is exceeded, the peer that has been holding a share for the longest time is evicted
 * first.
 */
export function createBudget(limit: number): Budget {
  /** In the order in which the peers began to hold something. */
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
 * Bytes of incomplete messages and bodies, over all servers of this process: a peer that announces a message and never
 * completes it would otherwise hold memory for as long as it likes.
 */
export const unfinishedBytes: Budget = createBudget(64 * 1024 * 1024);
