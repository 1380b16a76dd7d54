import type { Logger } from "../lib/logger.js";
import { registry } from "../resources/registry.js";
import { aloneOnStore, type Instances } from "../store/instances.js";
import { createMemoryStore } from "../store/memory.js";
import type { Store } from "../store/store.js";
import { postgresOptions } from "./postgres-settings.js";
import type { Settings } from "./settings.js";

export interface OpenStore {
  readonly store: Store;
  readonly instances: Instances;
}

/**
 * Opens the store that the settings name, and waits for it.
 * @throws UserError for a store that no waiting makes usable
 */
export async function openStore(
  settings: Settings,
  instanceId: string,
  logger: Logger,
  signal: AbortSignal,
): Promise<OpenStore> {
  switch (settings.storeType) {
    case "memory":
      return { store: createMemoryStore(registry), instances: aloneOnStore(instanceId) };
    case "postgres": {
      const { openPostgresStore } = await import("../store/postgres/open.js");
      return openPostgresStore({
        postgres: await postgresOptions(settings),
        registry,
        logger,
        instanceId,
        migrate: settings.postgresMigrate,
        pollingIntervalMs: settings.pollingInterval,
        signal,
      });
    }
  }
}
