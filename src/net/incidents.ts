import type { Logger } from "../lib/logger.js";

/** Counters that show an operator an attack on a server. */
export interface Incidents {
  /** A peer exceeded the limit of this name and was rejected, or delayed where the limit delays. */
  refused(limit: string): void;
  /** A callback that a peer can reach threw an exception, which is a bug. */
  caught(): void;
}

/** For servers without metrics. */
export const uncounted: Incidents = { refused() {}, caught() {} };

/**
 * Wraps a callback that a peer can reach, so that an exception in it closes what the peer has open and nothing else.
 */
export type Guard = <Args extends unknown[]>(
  callback: (...args: Args) => void,
  failed?: (...args: Args) => void,
) => (...args: Args) => void;

/**
 * Catches exceptions of network callbacks, counts and logs them. `failed` closes what the peer has open, and may itself
 * throw.
 */
export function createGuard(logger: Logger, incidents: Incidents): Guard {
  function report(error: unknown): void {
    incidents.caught();
    logger.error("a network callback failed; its peer's connection is closed", { error });
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
