import type { Logger } from "../../lib/logger.js";
import { type DataplaneInsight, dataplaneInsightType } from "../../resources/dataplane-insight.js";
import type { Leadership } from "../../store/leadership.js";
import { readStored } from "../../store/read.js";
import { type Key, type Store, type Stored, StoreError } from "../../store/store.js";
import type { ProxyId } from "../../xds/node.js";

export interface CollectorOptions {
  readonly store: Store;
  /** How long a Dataplane must be offline before it is deleted. */
  readonly ageMs: number;
  readonly logger: Logger;
  /** Whether the proxy has an open stream with this instance; its insight may not be written yet. */
  readonly isOpenHere: (proxy: ProxyId) => boolean;
  readonly now?: () => Date;
}

/**
 * When the last proxy of a Dataplane disconnected, as milliseconds since 1970; undefined while one is connected, or if
 * none ever was.
 */
function offlineSince({ spec: { subscriptions = [] } }: Stored<DataplaneInsight>): number | undefined {
  if (subscriptions.length === 0) return undefined;
  const times = subscriptions.map(({ disconnectTime }) => Date.parse(disconnectTime ?? ""));
  // An open subscription has no disconnect time, which makes the maximum NaN.
  const latest = Math.max(...times);
  return Number.isNaN(latest) ? undefined : latest;
}

const ignoreAbsence = (error: unknown) => {
  if (!(error instanceof StoreError && error.kind === "not-found")) throw error;
};

/**
 * Deletes Dataplanes, with their insights, whose proxies disconnected long ago. Those whose proxy never connected are
 * kept.
 */
export async function collectOffline({
  store,
  ageMs,
  logger,
  isOpenHere,
  now = () => new Date(),
}: CollectorOptions): Promise<void> {
  const before = now().getTime() - ageMs;
  for (const insight of await store.list(dataplaneInsightType)) {
    const since = offlineSince(insight);
    if (since === undefined || since > before) continue;
    const { mesh, name } = insight;
    if (isOpenHere({ mesh, name })) continue;
    // Read again just before: a proxy may have reconnected since the list was read.
    const present = await readStored(store, dataplaneInsightType, insight);
    if (present === undefined || offlineSince(present) !== since || isOpenHere({ mesh, name })) continue;
    const dataplane: Key = { type: "Dataplane", mesh, name };
    await store.delete(dataplane).catch(ignoreAbsence);
    await store.delete(insight).catch(ignoreAbsence);
    await store.delete({ ...dataplane, type: "DataplaneHealth" }).catch(ignoreAbsence);
    logger.info("a dataplane was offline for too long and is deleted", {
      mesh,
      name,
      since: new Date(since).toISOString(),
    });
  }
}

/** Collects periodically while this control plane is the leader, until closed; the interval depends on the age. */
export function startCollector(options: CollectorOptions & { readonly leadership: Leadership }): { close(): void } {
  const intervalMs = Math.min(60_000, Math.max(1_000, options.ageMs / 10));
  let collecting = false;
  async function collect(): Promise<void> {
    if (await options.leadership.leads()) await collectOffline(options);
  }
  const timer = setInterval(() => {
    if (collecting || !options.store.available) return;
    collecting = true;
    collect()
      .catch((error: unknown) => options.logger.error("could not collect offline dataplanes", { error }))
      .finally(() => {
        collecting = false;
      });
  }, intervalMs);
  return { close: () => clearInterval(timer) };
}
