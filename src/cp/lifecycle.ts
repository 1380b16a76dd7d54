import type { Logger } from "../lib/logger.js";

/** Something that was started. */
export interface Running {
  close(): void | Promise<void>;
}

/** The parts that have been started. */
export interface Lifecycle {
  /** Adds a part and returns it. The last one added is closed first. */
  runs<Part extends Running>(name: string, part: Part): Part;
  /** Adds a server and returns it. Servers are closed before every other part, all at the same time. */
  serves<Server extends Running>(name: string, server: Server): Server;
  /** Closes all parts. A part that fails to close is logged by its name, and the others are closed all the same. */
  close(): Promise<void>;
}

function createLifecycle(logger: Logger): Lifecycle {
  const servers: (() => Promise<void>)[] = [];
  const parts: (() => Promise<void>)[] = [];

  function closing(name: string, part: Running): () => Promise<void> {
    return async () => {
      try {
        await part.close();
      } catch (error) {
        logger.error("could not close a part of the control plane", { part: name, error });
      }
    };
  }

  return {
    runs(name, part) {
      parts.push(closing(name, part));
      return part;
    },
    serves(name, server) {
      servers.push(closing(name, server));
      return server;
    },
    async close() {
      await Promise.all(servers.splice(0).map((close) => close()));
      for (const close of parts.splice(0).reverse()) await close();
    },
  };
}

/**
 * Starts parts one after the other.
 * @throws what `start` throws, once all parts that it had started are closed
 */
export async function startParts<T>(logger: Logger, start: (lifecycle: Lifecycle) => Promise<T>): Promise<T> {
  const lifecycle = createLifecycle(logger);
  try {
    return await start(lifecycle);
  } catch (error) {
    await lifecycle.close();
    throw error;
  }
}
