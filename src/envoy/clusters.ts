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
import type { HealthCheck } from "../resources/health-check.js";
import { serviceTag, type Tags } from "../resources/tags.js";
import { socketAddress } from "./address.js";
import { duration, milliseconds } from "./durations.js";
import { tcpKeepalive } from "./keepalive.js";
import { memo } from "./memo.js";
import { type EnvoyResource, encode } from "./resource.js";
import { outboundTls, type TlsParameters } from "./tls.js";

type Init = MessageInitShape<typeof ClusterSchema>;

const unlimited = 2 ** 32 - 1;

/**
 * Envoy's own thresholds (1,024 connections, 3 retries) close what comes beyond them without a log line; nobody chose
 * them. High priority is what routes of a ProxyTemplate may ask for.
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

/** What all clusters of a proxy depend on. */
export interface CommonOptions {
  readonly connectTimeoutMs: number;
  /** The revision of the proxy's bootstrap: from 1 on, clusters have no limits and TCP keepalive. */
  readonly revision: number;
}

/** What every cluster has from revision 1 on. */
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
    ...(revision >= 1 ? everywhere : {}),
    ...init,
    name,
    connectTimeout: duration(connectTimeoutMs),
  });
  return encode(ClusterSchema, name, message, { edsName });
}

export const localClusterName = (servicePort: number): string => `localhost:${servicePort}`;

/** The service behind an inbound, on this machine. */
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

/** `<service>`, or `<service>{k1=v1,k2=v2}` for those of its endpoints that have these tags, sorted by key. */
export function serviceClusterName(destination: Tags): string {
  const others = Object.entries(destination).filter(([key]) => key !== serviceTag);
  const service = destination[serviceTag] ?? "";
  if (others.length === 0) return service;
  const texts = others.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => `${key}=${value}`);
  return `${service}{${texts.join(",")}}`;
}

/** All of a HealthCheck that a cluster depends on. */
interface CheckConf {
  readonly conf: HealthCheck["conf"] | undefined;
}

/** What a cluster of a service depends on. */
export interface ServiceClusterOptions extends CommonOptions {
  readonly name: string;
  readonly service: string;
  /** With it, the identity of the service is verified. */
  readonly tls: TlsParameters | undefined;
  readonly healthCheck: CheckConf | undefined;
}

/**
 * A HealthCheck in Envoy's terms. Unhealthy endpoints get nothing, however many they are: with Envoy's default it would
 * send to all of them again once half are unhealthy.
 */
function checks({ conf }: CheckConf, revision: number) {
  const { activeChecks: active, passiveChecks: passive } = conf ?? {};
  return {
    ...(active === undefined
      ? {}
      : {
          healthChecks: [
            {
              healthChecker: { case: "tcpHealthCheck" as const, value: {} },
              interval: duration(milliseconds(active.interval)),
              // By Envoy's default an endpoint that was not up yet is tried again after a minute while nothing is sent,
              // and nothing is sent while no endpoint is well.
              noTrafficInterval: duration(milliseconds(active.interval)),
              timeout: duration(milliseconds(active.timeout)),
              unhealthyThreshold: active.unhealthyThreshold ?? 0,
              healthyThreshold: active.healthyThreshold ?? 0,
            },
          ],
        }),
    ...(passive === undefined
      ? {}
      : {
          outlierDetection: {
            // Counts failures to connect, too.
            consecutive5xx: passive.unhealthyThreshold ?? 0,
            interval: duration(milliseconds(passive.penaltyInterval)),
            baseEjectionTime: duration(milliseconds(passive.penaltyInterval)),
            maxEjectionPercent: 100,
            // Envoy would also eject endpoints for failing more often than others do, which nobody asked for.
            ...(revision >= 1 ? { enforcingSuccessRate: 0 } : {}),
          },
        }),
    commonLbConfig: {
      healthyPanicThreshold: { value: 0 },
      // For a second after an endpoint change Envoy else gathers changes of health, and goes on using what it has ejected.
      ...(revision >= 1 ? { updateMergeWindow: duration(0) } : {}),
    },
  };
}

/** A service of the mesh, whose endpoints arrive by EDS on the same stream. */
export const serviceCluster = memo((options: ServiceClusterOptions) => {
  const { name, service, revision, tls, healthCheck } = options;
  const init: Init = {
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: {
      edsConfig: create(ConfigSourceSchema, {
        resourceApiVersion: ApiVersion.V3,
        configSourceSpecifier: { case: "ads", value: create(AggregatedConfigSourceSchema) },
      }),
    },
    ...(tls === undefined ? {} : { transportSocket: outboundTls(tls, service) }),
    ...(healthCheck === undefined ? {} : checks(healthCheck, revision)),
  };
  return cluster(name, options, init, name);
});

/** A cluster without endpoints, for connections that a route sends nowhere: they are accepted and closed. */
export const nowhereName = "nowhere";

export const nowhereCluster = memo((common: CommonOptions) =>
  cluster(nowhereName, common, {
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
    loadAssignment: { clusterName: nowhereName },
  }),
);

export const passThroughName = "pass_through";

/** Where redirected connections to addresses outside the mesh go on to. */
export const passThroughCluster = memo((common: CommonOptions) =>
  cluster(passThroughName, common, {
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.ORIGINAL_DST },
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
  }),
);
