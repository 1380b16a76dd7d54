/** A seeded generator, so that a failing run can be repeated (mulberry32). */
export function seeded(seed: number) {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = (limit: number) => Math.floor(next() * limit);
  return {
    next,
    /** An integer from 0 to `limit` - 1. */
    below,
    chance: (probability: number) => next() < probability,
    pick<T>(items: readonly T[]): T {
      return items[below(items.length)] as T;
    },
  };
}

export type Random = ReturnType<typeof seeded>;

/** The seed of this run: TEST_SEED, or a random one that is printed with a failure. */
export const runSeed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
