import type { DataplaneInsight, Subscription } from "../../resources/dataplane-insight.js";
import type { Instances } from "../../store/instances.js";
import { type Key, type Store, type Stored, StoreError } from "../../store/store.js";
import { mergeSubscriptions } from "./merge.js";
import { mergeSecrets, type SecretNews } from "./secrets.js";

/** What is to be written of one proxy: its streams as they were watched. */
export interface Report {
  readonly dataplane: Key;
  readonly watched: readonly Subscription[];
  readonly secrets: SecretNews;
  /** Whether the subscription's stream is open, as far as this instance knows. */
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
 * Brings the DataplaneInsights of some proxies up to date, all in one go; a Dataplane that does not exist gets none.
 * @returns the reports that somebody else's write was faster than: they have to be tried again
 * @throws whatever the store throws; then none may have been written
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
  await takeBack(
    store,
    created.map(({ dataplane }) => dataplane),
  );
  return wanted.filter((_, index) => outcomes[index] instanceof StoreError);
}

/** Instances that can no longer report the end of their streams: this one, of streams it does not watch, and those gone. */
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

/** A Dataplane may have been deleted between the look and the write; its insight goes with it. */
async function takeBack(store: Store, dataplanes: readonly Key[]): Promise<void> {
  if (dataplanes.length === 0) return;
  const left = byPlace(await store.getAll(dataplanes));
  for (const dataplane of dataplanes) {
    if (!left.has(place(dataplane))) await store.delete(insightKey(dataplane)).catch(ignoreAbsence);
  }
}

function ignoreAbsence(error: unknown): void {
  if (!(error instanceof StoreError && error.kind === "not-found")) throw error;
}
