import type { Logger } from "../lib/logger.js";

/** What a server counts of its defence, for an operator to see that somebody tries it. */
export interface Incidents {
  /** A peer went beyond the limit of this name and was refused, or had to wait where the limit delays. */
  refused(limit: string): void;
  /** A callback that a peer can reach threw. That is a bug of ours. */
  caught(): void;
}

/** For servers that nobody counts for. */
export const uncounted: Incidents = { refused() {}, caught() {} };

/** Wraps a callback that a peer can reach, so that an exception in it ends what the peer has open and nothing else. */
export type Guard = <Args extends unknown[]>(
  callback: (...args: Args) => void,
  failed?: (...args: Args) => void,
) => (...args: Args) => void;

/**
 * The one place where exceptions of network callbacks end: each is counted and logged. `failed` gives up what the
 * peer has open, and may itself throw.
 */
export function createGuard(logger: Logger, incidents: Incidents): Guard {
  function report(error: unknown): void {
    incidents.caught();
    logger.error("a network callback failed; what its peer had open is closed", { error });
  }

  return (callback, failed) =>
    (...args) => {
      try {
        callback(...args);
      } catch (error) {
        report(error);
        try {
          failed?.(...args);
        } catch (second) {
          report(second);
        }
      }
    };
}
