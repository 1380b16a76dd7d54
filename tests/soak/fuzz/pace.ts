/** Lets bytes pass at a rate that all who share it have together. */
export interface Pace {
  /** Resolves when so many bytes may be written. */
  pass(bytes: number): Promise<void>;
}

export function createPace(bytesPerSecond: number): Pace {
  let free = performance.now();
  return {
    async pass(bytes) {
      const now = performance.now();
      const at = Math.max(free, now);
      free = at + (bytes / bytesPerSecond) * 1000;
      if (at > now) await new Promise((resolve) => setTimeout(resolve, at - now));
    },
  };
}
