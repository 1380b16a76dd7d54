import { backoff } from "../../lib/deadline.js";
import type { Timers } from "../../lib/timers.js";
import type { Session } from "./session.js";

/** When a stream sends again what its client refused for a reason that may pass. */
export interface Retries {
  /** To be called after everything that happens to the session. */
  follow(): void;
  /** Something was refused that had not been before: the pauses start from the shortest again. */
  restart(): void;
  /** Sends it now. */
  retry(): void;
  stop(): void;
}

const firstPauseMs = 1000;
const longestPauseMs = 60_000;
/** Shorter than this, the time without a refusal doesn't shorten the pauses: reports of kuma-dp can't make them short. */
const calmMs = 60_000;

/** One timer at most, and none for a client that refuses nothing. */
export function createRetries(session: Pick<Session, "retriable" | "retry">, timers: Timers): Retries {
  const pauses = backoff({ first: firstPauseMs, max: longestPauseMs });
  let timer: unknown;
  /** Since when nothing has been refused; undefined while something is, and before the first refusal. */
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
