import type { OpenedStore } from "../../store/kind.js";
import type { StartContext } from "../start-context.js";
import { startAbandonedCleanup } from "./abandoned.js";
import { startCollector } from "./collector.js";
import { createInsightRecorder, type InsightRecorder } from "./recorder.js";

/** Starts what writes insights, and what cleans up after other control planes and dataplanes that are gone. */
export function startInsights(
  { settings, logger: root, lifecycle }: Pick<StartContext, "settings" | "logger" | "lifecycle">,
  { store, instances, leadership }: OpenedStore,
): InsightRecorder {
  const logger = root.child("insights");
  const recorder = createInsightRecorder({ store, instances, flushIntervalMs: settings.statusFlushInterval, logger });
  lifecycle.runs("insights", recorder);
  startAbandonedCleanup({ store, instances, logger, rewrite: recorder.rewrite });
  if (settings.dataplaneCleanupAge > 0) {
    const collector = startCollector({
      store,
      leadership,
      ageMs: settings.dataplaneCleanupAge,
      isOpenHere: (proxy) => recorder.openSince(proxy).length > 0,
      logger,
    });
    lifecycle.runs("collector of offline dataplanes", collector);
  }
  return recorder;
}
