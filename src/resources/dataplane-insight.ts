import { resourceType } from "./resource.js";
import { text, timestamp, uint64 } from "./scalars.js";
import { type Infer, list, object } from "./schema.js";

const counters = object({ responsesSent: uint64(), responsesAcknowledged: uint64(), responsesRejected: uint64() });

const subscription = object({
  /** One per stream. */
  id: text(),
  controlPlaneInstanceId: text(),
  connectTime: timestamp(),
  /** Absent while connected. */
  disconnectTime: timestamp(),
  status: object({
    lastUpdateTime: timestamp(),
    total: counters,
    cds: counters,
    eds: counters,
    lds: counters,
    rds: counters,
  }),
});

export const dataplaneInsightSchema = object({ subscriptions: list(subscription) });

export type ResponseCounters = Infer<typeof counters>;
export type Subscription = Infer<typeof subscription>;
/** What a Dataplane's proxy did: one subscription for each stream it opened. Written by the control plane only. */
export type DataplaneInsight = Infer<typeof dataplaneInsightSchema>;

export const dataplaneInsightType = resourceType<DataplaneInsight>({
  name: "DataplaneInsight",
  path: "dataplane-insights",
  access: "read",
  feeds: false,
  schema: dataplaneInsightSchema,
});
