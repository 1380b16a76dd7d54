import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { CircuitBreakersSchema } from "../../proto-gen/es/envoy/config/cluster/v3/circuit_breaker_pb.js";
import {
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
  UpstreamConnectionOptionsSchema,
} from "../../proto-gen/es/envoy/config/cluster/v3/cluster_pb.js";
import { RoutingPriority } from "../../proto-gen/es/envoy/config/core/v3/base_pb.js";
import {
  AggregatedConfigSourceSchema,
  ApiVersion,
  ConfigSourceSchema,
} from "../../proto-gen/es/envoy/config/core/v3/config_source_pb.js";
import { serviceTag, type Tags } from "../resources/tags.js";
import { socketAddress } from "./address.js";
import type { Contributions, PolicyParameters } from "./contribution.js";
import { duration } from "./durations.js";
import { tcpKeepalive } from "./keepalive.js";
import { memo } from "./memo.js";
import { type EnvoyResource, encode } from "./resource.js";
import { outboundTls, type TlsParameters } from "./tls.js";

type Init = MessageInitShape<typeof ClusterSchema>;

const unlimited = 2 ** 32 - 1;

/**
 * Envoy's default thresholds (1,024 connections, 3 retries) reject what exceeds them without a log line, and no user
 * configured them. High priority is included because routes of a ProxyTemplate may use it.
 */
const circuitBreakers = create(CircuitBreakersSchema, {
  thresholds: [RoutingPriority.DEFAULT, RoutingPriority.HIGH].map((priority) => ({
    priority,
    maxConnections: unlimited,
    maxPendingRequests: unlimited,
    maxRequests: unlimited,
    maxRetries: unlimited,
  })),
});

/** The options of all clusters of a proxy. */
export interface CommonOptions {
  readonly connectTimeoutMs: number;
  /** The revision of the proxy's bootstrap: from 1 on, clusters have no limits and TCP keepalive. */
  readonly revision: number;
}

/** The fields of every cluster since revision 1. */
const everywhere = {
  circuitBreakers,
  upstreamConnectionOptions: create(UpstreamConnectionOptionsSchema, { tcpKeepalive }),
};

function cluster(
  name: string,
  { connectTimeoutMs, revision }: CommonOptions,
  init: Init,
  edsName?: string,
): EnvoyResource {
  const message = create(ClusterSchema, {
    connectTimeout: duration(connectTimeoutMs),
    ...(revision >= 1 ? everywhere : {}),
    ...init,
    name,
  });
  return encode(ClusterSchema, name, message, { edsName });
}

export const localClusterName = (servicePort: number): string => `localhost:${servicePort}`;

/** The cluster of the local application behind an inbound. */
export const localCluster = memo((options: CommonOptions & { readonly servicePort: number }) => {
  const name = localClusterName(options.servicePort);
  const endpoint = { address: socketAddress("127.0.0.1", options.servicePort) };
  return cluster(name, options, {
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
    loadAssignment: {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: endpoint } }] }],
    },
  });
});

/** `<service>`, or `<service>{k1=v1,k2=v2}` for the subset of its endpoints with these tags, sorted by key. */
export function serviceClusterName(destination: Tags): string {
  const others = Object.entries(destination).filter(([key]) => key !== serviceTag);
  const service = destination[serviceTag] ?? "";
  if (others.length === 0) return service;
  const texts = others.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => `${key}=${value}`);
  return `${service}{${texts.join(",")}}`;
}

/** A service cluster under construction, which policies add fields to. */
export interface ClusterDraft {
  readonly init: Init;
  /** The revision of the proxy's bootstrap. */
  readonly revision: number;
}

/** The options of a service cluster. */
export interface ServiceClusterOptions extends CommonOptions {
  readonly name: string;
  readonly service: string;
  /** If set, connections use mTLS and verify the service's identity. */
  readonly tls: TlsParameters | undefined;
  readonly policies: PolicyParameters;
}

/** Creates service clusters, whose endpoints are delivered by EDS on the same ADS stream. */
export const serviceClusters = ({ addTo }: Pick<Contributions<never, ClusterDraft, never>, "addTo">) =>
  memo((options: ServiceClusterOptions) => {
    const { name, service, revision, tls, policies } = options;
    const init: Init = {
      clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
      edsClusterConfig: {
        edsConfig: create(ConfigSourceSchema, {
          resourceApiVersion: ApiVersion.V3,
          configSourceSpecifier: { case: "ads", value: create(AggregatedConfigSourceSchema) },
        }),
      },
      ...(tls === undefined ? {} : { transportSocket: outboundTls(tls, service) }),
    };
    addTo({ init, revision }, policies);
    return cluster(name, options, init, name);
  });

/** A cluster without endpoints, for routes without destinations: connections are accepted and closed. */
export const nowhereName = "nowhere";

export const nowhereCluster = memo((common: CommonOptions) =>
  cluster(nowhereName, common, {
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
    loadAssignment: { clusterName: nowhereName },
  }),
);

export const passThroughName = "pass_through";

/** The original-destination cluster, for redirected connections to addresses outside the mesh. */
export const passThroughCluster = memo((common: CommonOptions) =>
  cluster(passThroughName, common, {
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.ORIGINAL_DST },
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
  }),
);
