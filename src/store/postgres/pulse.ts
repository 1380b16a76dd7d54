import { backoff, sleep } from "../../lib/deadline.js";
import type { Logger } from "../../lib/logger.js";
import { DatabaseFailure } from "./failure.js";

/** Tracks whether the database is available, and detects when it is back. */
export interface Pulse {
  /** Why the database is unavailable; undefined while it is available. */
  readonly failure: DatabaseFailure | undefined;
  /** Call when the database could not be reached. */
  markLost(error: unknown): void;
  /** Call when the database may be unavailable: it is checked at once. */
  check(): void;
  /**
   * Calls `ask` every `intervalMs`, more often while the database is lost, until stopped. If `ask` throws, the database
   * is lost.
   */
  keep(intervalMs: number, ask: () => Promise<void>): Promise<void>;
  stop(): void;
}

export function createPulse(logger: Logger, onLost: () => void): Pulse {
  const stopping = new AbortController();
  let lost: { readonly failure: DatabaseFailure; readonly since: number } | undefined;
  let pause = new AbortController();

  function markLost(error: unknown): void {
    if (stopping.signal.aborted) return;
    const failure =
      error instanceof DatabaseFailure ? error : new DatabaseFailure("unexpected", String(error), { cause: error });
    if (lost !== undefined) {
      // The latest error says more than the first one.
      lost = { ...lost, failure };
      return;
    }
    lost = { failure, since: performance.now() };
    onLost();
    logger.error("the database is lost: reads go on from memory, writes are refused", { reason: failure.message });
    pause.abort();
  }

  function markAvailable(): void {
    if (lost === undefined) return;
    logger.info("the database is back", { afterMs: Math.round(performance.now() - lost.since) });
    lost = undefined;
  }

  return {
    get failure() {
      return lost?.failure;
    },
    markLost,
    check: () => pause.abort(),
    async keep(intervalMs, ask) {
      const waits = backoff({ first: 50, max: 1_000 });
      while (!stopping.signal.aborted) {
        pause = new AbortController();
        let wait = intervalMs;
        try {
          await ask();
          markAvailable();
          waits.reset();
        } catch (error) {
          markLost(error);
          // `markLost` has just aborted the pause.
          pause = new AbortController();
          wait = waits.next();
        }
        await sleep(wait, AbortSignal.any([pause.signal, stopping.signal])).catch(() => {});
      }
    },
    stop: () => stopping.abort(),
  };
}
