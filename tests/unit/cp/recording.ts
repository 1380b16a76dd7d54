import { createInsightRecorder } from "../../../src/cp/insights/recorder.js";
import type { DataplaneInsight } from "../../../src/resources/dataplane-insight.js";
import { registry } from "../../../src/resources/registry.js";
import { aloneOnStore } from "../../../src/store/instances.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import type { Store } from "../../../src/store/store.js";
import { silent } from "./stage.js";

/** A time by its second. */
export const at = (second: number) => new Date(Date.UTC(2019, 9, 24, 14, 4, second, 820));

const never = 2 ** 30;

export interface RecordingOptions {
  /** Default: only explicit flushes. */
  readonly flushIntervalMs?: number;
  readonly mostPerInterval?: number;
  /** The store that the recorder uses. */
  readonly store?: (inner: Store) => Store;
}

/** A recorder of the instance `cp-1`, beside which `cp-alive` runs, over a store with the Dataplanes `a` and `b`. */
export async function recording({ flushIntervalMs = never, mostPerInterval, store }: RecordingOptions = {}) {
  const inner = createMemoryStore(registry);
  for (const name of ["a", "b"]) await inner.create({ type: "Dataplane", mesh: "default", name, spec: {} });
  const recorder = createInsightRecorder({
    store: store?.(inner) ?? inner,
    instances: { ...aloneOnStore("cp-1"), running: async () => new Set(["cp-1", "cp-alive"]) },
    flushIntervalMs,
    ...(mostPerInterval === undefined ? {} : { mostPerInterval }),
    logger: silent,
    now: () => at(50),
  });
  const insight = async (name = "a") =>
    (await inner.get({ type: "DataplaneInsight", mesh: "default", name }))?.spec as DataplaneInsight | undefined;
  return { store: inner, recorder, insight };
}
