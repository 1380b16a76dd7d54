import { type Dataplane, dataplaneSchema } from "./dataplane.js";
import { type DataplaneHealth, dataplaneHealthSchema } from "./dataplane-health.js";
import { type DataplaneInsight, dataplaneInsightSchema, type Subscription } from "./dataplane-insight.js";
import { type Resource, resourceType } from "./resource.js";
import { type Infer, object } from "./schema.js";

const dataplaneOverviewSchema = object({
  dataplane: dataplaneSchema,
  dataplaneInsight: dataplaneInsightSchema,
  /** Absent while all applications are healthy. */
  dataplaneHealth: dataplaneHealthSchema,
});

/** A Dataplane with its insight and health. Never stored: assembled on read. */
export type DataplaneOverview = Infer<typeof dataplaneOverviewSchema>;

export const dataplaneOverviewType = resourceType<DataplaneOverview>({
  name: "DataplaneOverview",
  path: "dataplanes+insights",
  pathAliases: ["dataplane+insights"],
  access: "read",
  kubernetes: undefined,
  feeds: false,
  schema: dataplaneOverviewSchema,
});

/**
 * The overview of a Dataplane, without insight if its proxy never connected, without health while all applications are
 * healthy.
 */
export function overviewOf(
  { mesh, name, spec }: Resource<Dataplane>,
  insight: DataplaneInsight | undefined,
  health?: DataplaneHealth,
): Resource<DataplaneOverview> {
  const overview = {
    dataplane: spec,
    ...(insight === undefined ? {} : { dataplaneInsight: insight }),
    ...(health === undefined ? {} : { dataplaneHealth: health }),
  };
  return { type: dataplaneOverviewType.name, mesh, name, spec: overview };
}

export const subscriptionsOf = ({ dataplaneInsight }: DataplaneOverview): readonly Subscription[] =>
  dataplaneInsight?.subscriptions ?? [];

const began = ({ connectTime }: Subscription) => Date.parse(connectTime ?? "");

/** The subscriptions with open streams to any control plane, oldest first. */
export const openSubscriptions = (overview: DataplaneOverview): readonly Subscription[] =>
  subscriptionsOf(overview)
    .filter(({ connectTime, disconnectTime }) => connectTime !== undefined && disconnectTime === undefined)
    .sort((a, b) => began(a) - began(b));

/** Whether the proxy has an open stream to any control plane. */
export const isOnline = (overview: DataplaneOverview): boolean => openSubscriptions(overview).length > 0;

/**
 * The ports on 127.0.0.1 where applications of a connected proxy do not accept connections. The last report of a
 * disconnected proxy is ignored.
 */
export const downPorts = (overview: DataplaneOverview): readonly number[] =>
  isOnline(overview) ? (overview.dataplaneHealth?.down ?? []) : [];

/** The newest subscription; records of several control planes may be in any order. Undefined if there is none. */
export function latestSubscription(overview: DataplaneOverview): Subscription | undefined {
  let found: Subscription | undefined;
  for (const subscription of subscriptionsOf(overview)) {
    if (subscription.connectTime === undefined) continue;
    if (found === undefined || began(subscription) >= began(found)) found = subscription;
  }
  return found;
}
