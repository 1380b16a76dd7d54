import { backoff, sleep } from "../../lib/deadline.js";
import type { Logger } from "../../lib/logger.js";
import { DatabaseFailure } from "./failure.js";

/** Whether the database is there, as far as we know, and who finds out when it is back. */
export interface Pulse {
  /** Why it can't be used; undefined while it can. */
  readonly failure: DatabaseFailure | undefined;
  /** Somebody could not reach it. */
  lose(error: unknown): void;
  /** Somebody has a reason to doubt: it is asked at once. */
  check(): void;
  /** Asks every `intervalMs`, more often while it is lost, until stopped. What `ask` throws means that it is lost. */
  keep(intervalMs: number, ask: () => Promise<void>): Promise<void>;
  stop(): void;
}

export function createPulse(logger: Logger, onLost: () => void): Pulse {
  const stopping = new AbortController();
  let lost: { readonly failure: DatabaseFailure; readonly since: number } | undefined;
  let pause = new AbortController();

  function lose(error: unknown): void {
    if (stopping.signal.aborted) return;
    const failure =
      error instanceof DatabaseFailure ? error : new DatabaseFailure("unexpected", String(error), { cause: error });
    if (lost !== undefined) {
      // What is wrong now says more than how it began.
      lost = { ...lost, failure };
      return;
    }
    lost = { failure, since: performance.now() };
    onLost();
    logger.error("the database is lost: reads go on from memory, writes are refused", { reason: failure.message });
    pause.abort();
  }

  function find(): void {
    if (lost === undefined) return;
    logger.info("the database is back", { afterMs: Math.round(performance.now() - lost.since) });
    lost = undefined;
  }

  return {
    get failure() {
      return lost?.failure;
    },
    lose,
    check: () => pause.abort(),
    async keep(intervalMs, ask) {
      const waits = backoff({ first: 50, max: 1_000 });
      while (!stopping.signal.aborted) {
        pause = new AbortController();
        let wait = intervalMs;
        try {
          await ask();
          find();
          waits.reset();
        } catch (error) {
          lose(error);
          // Its own end of the pause is none.
          pause = new AbortController();
          wait = waits.next();
        }
        await sleep(wait, AbortSignal.any([pause.signal, stopping.signal])).catch(() => {});
      }
    },
    stop: () => stopping.abort(),
  };
}
