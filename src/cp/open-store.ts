import type { Logger } from "../lib/logger.js";
import { registry } from "../resources/registry.js";
import type { OpenedStore } from "../store/kind.js";
import type { Settings } from "./settings.js";
import { chosenKind, type StoreKinds } from "./store-settings.js";

/**
 * Opens the store that the settings name, and waits for it.
 * @throws UserError for a store that no waiting makes usable
 */
export function openStore(
  settings: Settings,
  kinds: StoreKinds,
  instanceId: string,
  logger: Logger,
  signal: AbortSignal,
): Promise<OpenedStore> {
  const context = { registry, logger, instanceId, pollingIntervalMs: settings.pollingInterval, signal };
  return chosenKind(kinds, settings).open(settings, context);
}
