import { customResource, resourceType } from "./resource.js";
import { text, timestamp, uint32, uint64 } from "./scalars.js";
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
    /** The parts of the current configuration that the proxy rejects, with Envoy's error. */
    refused: list(object({ type: text(), name: text(), reason: text() })),
  }),
});

/** The proxy's certificate; the first three fields are named as in later versions of Kuma. */
const mtls = object({
  certificateExpirationTime: timestamp(),
  lastCertificateRegeneration: timestamp(),
  certificateRegenerations: uint32(),
  /** The version of the mesh's roots that the proxy last acknowledged. */
  trustedRoots: text(),
  /** Why the last request for a certificate was rejected; cleared by the next certificate. */
  refusal: object({ time: timestamp(), reason: text() }),
});

export const dataplaneInsightSchema = object({ subscriptions: list(subscription), mTLS: mtls });

export type MtlsInsight = Infer<typeof mtls>;

export type ResponseCounters = Infer<typeof counters>;
export type Subscription = Infer<typeof subscription>;
/** The status of a Dataplane's proxy, with one subscription per stream. Written by the control plane only. */
export type DataplaneInsight = Infer<typeof dataplaneInsightSchema>;

export const dataplaneInsightType = resourceType<DataplaneInsight>({
  name: "DataplaneInsight",
  path: "dataplane-insights",
  kubernetes: customResource("dataplane-insights", "mesh", "status"),
  summary: "What the control plane recorded about the proxy of a Dataplane. Written by the control plane only.",
  access: "read",
  feeds: false,
  schema: dataplaneInsightSchema,
});
