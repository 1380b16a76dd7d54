import type { Logger } from "../lib/logger.js";

/**
 * What to do on SIGUSR1: `reopen`, once at a time. Signals that come meanwhile are one more request, because files may
 * have been moved after Envoy had opened them again. A failure is logged.
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
        logger.error("Envoy could not be told to reopen its access logs", { error });
      }
    } while (again);
    running = false;
  }

  return () => {
    if (running) again = true;
    else void run();
  };
}
