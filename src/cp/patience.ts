import { backoff, sleep } from "../lib/deadline.js";
import { messageOf } from "../lib/errors.js";
import type { Logger } from "../lib/logger.js";
import { StoreError } from "../store/store.js";

/**
 * Does what has to be done before anyone is served, again and again while the store is away.
 * @throws whatever else `work` throws; an AbortError when the signal ends the wait
 */
export async function patiently<T>(work: () => Promise<T>, logger: Logger, signal: AbortSignal): Promise<T> {
  const waits = backoff({ first: 250, max: 5_000 });
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind !== "unavailable") throw error;
      logger.error("the store is away while it is needed to start; trying again", { reason: messageOf(error.cause) });
      await sleep(waits.next(), signal);
    }
  }
}
