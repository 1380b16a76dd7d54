import type { Logger } from "../lib/logger.js";
import type { Registry } from "../resources/registry.js";
import type { OpenedStore } from "../store/kind.js";
import type { Settings } from "./settings.js";
import { chosenKind, type StoreKinds } from "./store-settings.js";

/**
 * Opens the store that the settings select, and waits until it is available.
 * @throws UserError for a store that waiting cannot make usable
 */
export function openStore(
  settings: Settings,
  kinds: StoreKinds,
  registry: Registry,
  instanceId: string,
  logger: Logger,
  signal: AbortSignal,
): Promise<OpenedStore> {
  const context = { registry, logger, instanceId, pollingIntervalMs: settings.pollingInterval, signal };
  return chosenKind(kinds, settings).open(settings, context);
}
