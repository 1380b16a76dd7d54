import { backoff } from "../../lib/deadline.js";
import type { Timers } from "../../lib/timers.js";
import type { Session } from "./session.js";

/** Schedules when a stream sends again the resources that its client rejected for a transient reason. */
export interface Retries {
  /** Must be called after each event of the session. */
  follow(): void;
  /** A resource was rejected for the first time: the backoff starts from the shortest pause again. */
  restart(): void;
  /** Sends them now. */
  retry(): void;
  stop(): void;
}

const firstPauseMs = 1000;
const longestPauseMs = 60_000;
/**
 * How long nothing must have been rejected before the backoff is reset. Reports of kuma-dp thus can't keep it short.
 */
const calmMs = 60_000;

/** Uses one timer at most, and none for a client that rejects nothing. */
export function createRetries(session: Pick<Session, "retriable" | "retry">, timers: Timers): Retries {
  const pauses = backoff({ first: firstPauseMs, max: longestPauseMs });
  let timer: unknown;
  /** Since when no resource has been rejected; undefined while one is. */
  let calmSince: number | undefined;

  function cancel(): void {
    if (timer !== undefined) timers.clear(timer);
    timer = undefined;
  }

  function stop(): void {
    cancel();
    pauses.reset();
  }

  function follow(): void {
    if (!session.retriable()) {
      cancel();
      calmSince ??= timers.now();
      return;
    }
    if (calmSince !== undefined && timers.now() - calmSince >= calmMs) pauses.reset();
    calmSince = undefined;
    timer ??= timers.set(() => {
      timer = undefined;
      session.retry();
      follow();
    }, pauses.next());
  }

  return {
    follow,
    stop,
    restart: stop,
    retry() {
      stop();
      session.retry();
      follow();
    },
  };
}
