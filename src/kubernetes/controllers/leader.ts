import { sleep } from "../../lib/deadline.js";
import type { Logger } from "../../lib/logger.js";
import type { Leadership } from "../../store/leadership.js";
import type { Controller } from "./pod-controller.js";

/** How often it is asked whether this control plane leads, in milliseconds; asking costs no request. */
const everyMs = 500;

interface Options {
  readonly leadership: Leadership;
  /** Starts the controllers; called each time this control plane begins to lead. */
  readonly start: () => readonly Controller[];
  readonly logger: Logger;
}

/** Runs the controllers on the control plane that leads. For a moment two may lead, which their writes allow for. */
export function runWhileLeading({ leadership, start, logger }: Options): Controller {
  const stop = new AbortController();
  let controllers: readonly Controller[] | undefined;

  async function end(): Promise<void> {
    const ending = controllers ?? [];
    controllers = undefined;
    await Promise.all(ending.map((controller) => controller.close()));
  }

  async function leads(): Promise<boolean> {
    try {
      return await leadership.leads();
    } catch {
      // The store is away. Whoever led can't do anything now either, and may still lead when it is back.
      return controllers !== undefined;
    }
  }

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      const leading = await leads();
      if (stop.signal.aborted) return;
      if (leading && controllers === undefined) {
        logger.info("this control plane leads: it makes Dataplanes of pods and keeps the meshes");
        controllers = start();
      } else if (!leading && controllers !== undefined) {
        logger.info("this control plane no longer leads");
        await end();
      }
      await sleep(everyMs, stop.signal).catch(() => {});
    }
  }

  const running = run();
  return {
    async close() {
      stop.abort();
      await running;
      await end();
    },
  };
}
