import { type Dataplane, dataplaneSchema } from "./dataplane.js";
import { type DataplaneHealth, dataplaneHealthSchema } from "./dataplane-health.js";
import { type DataplaneInsight, dataplaneInsightSchema, type Subscription } from "./dataplane-insight.js";
import { type Resource, resourceType } from "./resource.js";
import { type Infer, object } from "./schema.js";

const dataplaneOverviewSchema = object({
  dataplane: dataplaneSchema,
  dataplaneInsight: dataplaneInsightSchema,
  /** Absent while all applications are well. */
  dataplaneHealth: dataplaneHealthSchema,
});

/** A Dataplane with what its proxy did and found out. Never stored: put together when it is read. */
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

/** The overview of a Dataplane; without an insight when its proxy never connected, without health while all is well. */
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

/** The subscriptions whose streams are open, to whichever control plane, the one that began first at the front. */
export const openSubscriptions = (overview: DataplaneOverview): readonly Subscription[] =>
  subscriptionsOf(overview)
    .filter(({ connectTime, disconnectTime }) => connectTime !== undefined && disconnectTime === undefined)
    .sort((a, b) => began(a) - began(b));

/** Whether the proxy has a stream open to some control plane. */
export const isOnline = (overview: DataplaneOverview): boolean => openSubscriptions(overview).length > 0;

/**
 * The ports on 127.0.0.1 at which applications behind the connected proxy do not accept connections. What a proxy found
 * out before it went away says nothing.
 */
export const downPorts = (overview: DataplaneOverview): readonly number[] =>
  isOnline(overview) ? (overview.dataplaneHealth?.down ?? []) : [];

/** The subscription that began last, as the records of two control planes may be in any order; undefined when none did. */
export function latestSubscription(overview: DataplaneOverview): Subscription | undefined {
  let found: Subscription | undefined;
  for (const subscription of subscriptionsOf(overview)) {
    if (subscription.connectTime === undefined) continue;
    if (found === undefined || began(subscription) >= began(found)) found = subscription;
  }
  return found;
}
