import { backoff, sleep } from "../lib/deadline.js";
import { messageOf } from "../lib/errors.js";
import type { Logger } from "../lib/logger.js";
import { StoreError } from "../store/store.js";

/**
 * Runs work that is required to start, and retries it while the store is unavailable.
 * @throws whatever else `work` throws; an AbortError when the signal ends the wait
 */
export async function retryWhileUnavailable<T>(
  work: () => Promise<T>,
  logger: Logger,
  signal: AbortSignal,
): Promise<T> {
  const waits = backoff({ first: 250, max: 5_000 });
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind !== "unavailable") throw error;
      logger.error("the store is unavailable during startup; retrying", { reason: messageOf(error.cause) });
      await sleep(waits.next(), signal);
    }
  }
}
