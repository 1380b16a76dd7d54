import type { DataplaneInsight, Subscription } from "../../resources/dataplane-insight.js";
import type { Instances } from "../../store/instances.js";
import { type Key, type Store, type Stored, StoreError } from "../../store/store.js";
import { mergeSubscriptions } from "./merge.js";
import { mergeSecrets, type SecretNews } from "./secrets.js";

/** A report about one proxy: its observed streams. */
export interface Report {
  readonly dataplane: Key;
  readonly watched: readonly Subscription[];
  readonly secrets: SecretNews;
  /** Whether this instance knows the subscription's stream to be open. */
  readonly live: (subscription: Subscription) => boolean;
}

interface WriterOptions {
  readonly store: Store;
  readonly instances: Instances;
  readonly now: () => Date;
}

const insightKey = (dataplane: Key): Key => ({ ...dataplane, type: "DataplaneInsight" });
const place = ({ mesh, name }: Key) => `${mesh}\n${name}`;
const byPlace = (resources: readonly Stored[]) => new Map(resources.map((stored) => [place(stored), stored]));
const subscriptionsOf = (insight: Stored | undefined): readonly Subscription[] =>
  (insight?.spec as DataplaneInsight | undefined)?.subscriptions ?? [];

/**
 * Updates the DataplaneInsights of some proxies in one batch; a missing Dataplane gets none.
 * @returns the reports that lost against a concurrent write and must be retried
 * @throws the store's errors; then maybe none was written
 */
export async function writeReports<R extends Report>(options: WriterOptions, reports: readonly R[]): Promise<R[]> {
  const { store, instances, now } = options;
  const dataplanes = byPlace(await store.getAll(reports.map(({ dataplane }) => dataplane)));
  const wanted = reports.filter(({ dataplane }) => dataplanes.has(place(dataplane)));
  const insights = byPlace(await store.getAll(wanted.map(({ dataplane }) => insightKey(dataplane))));
  const before = wanted.map(({ dataplane }) => insights.get(place(dataplane)));
  const silent = await silentInstances(instances, before);
  const writes = wanted.map(({ dataplane, watched, secrets, live }, index) => {
    const stored = before[index];
    const subscriptions = mergeSubscriptions(subscriptionsOf(stored), watched, {
      now: now(),
      own: instances.own,
      live,
      silent,
    });
    const known = stored?.spec as DataplaneInsight | undefined;
    const mTLS = mergeSecrets(known?.mTLS, secrets);
    const spec: DataplaneInsight = { ...known, subscriptions, ...(mTLS === undefined ? {} : { mTLS }) };
    const resource = { ...insightKey(dataplane), spec };
    return { resource, version: stored?.version };
  });
  const outcomes = await store.writeAll(writes);
  const created = wanted.filter((_, index) => before[index] === undefined && !(outcomes[index] instanceof StoreError));
  await deleteOrphans(
    store,
    created.map(({ dataplane }) => dataplane),
  );
  return wanted.filter((_, index) => outcomes[index] instanceof StoreError);
}

/**
 * Instances that can no longer report the end of their streams: dead ones, and this one for streams that it does not
 * observe.
 */
async function silentInstances(instances: Instances, insights: readonly (Stored | undefined)[]) {
  const { own } = instances;
  const others = insights
    .flatMap(subscriptionsOf)
    .some(
      ({ disconnectTime, controlPlaneInstanceId }) => disconnectTime === undefined && controlPlaneInstanceId !== own,
    );
  const running = others ? await instances.running() : new Set([own]);
  return (id: string) => id === own || !running.has(id);
}

/** Deletes the insights of Dataplanes that were deleted between the check and the write. */
async function deleteOrphans(store: Store, dataplanes: readonly Key[]): Promise<void> {
  if (dataplanes.length === 0) return;
  const left = byPlace(await store.getAll(dataplanes));
  for (const dataplane of dataplanes) {
    if (!left.has(place(dataplane))) await store.delete(insightKey(dataplane)).catch(ignoreAbsence);
  }
}

function ignoreAbsence(error: unknown): void {
  if (!(error instanceof StoreError && error.kind === "not-found")) throw error;
}
