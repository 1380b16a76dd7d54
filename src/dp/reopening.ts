import type { Logger } from "../lib/logger.js";

/**
 * The SIGUSR1 handler: runs `reopen`, one call at a time. Signals during a call lead to one more call, because files
 * may have been moved after Envoy reopened them. Failures are logged.
 */
export function createReopening(reopen: () => Promise<void>, logger: Logger): () => void {
  let running = false;
  let again = false;

  async function run(): Promise<void> {
    running = true;
    do {
      again = false;
      try {
        await reopen();
        logger.info("access logs reopened");
      } catch (error) {
        logger.error("Envoy could not be made to reopen its access logs", { error });
      }
    } while (again);
    running = false;
  }

  return () => {
    if (running) again = true;
    else void run();
  };
}
