import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import {
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
} from "../../proto-gen/es/envoy/config/cluster/v3/cluster_pb.js";
import {
  AggregatedConfigSourceSchema,
  ApiVersion,
  ConfigSourceSchema,
} from "../../proto-gen/es/envoy/config/core/v3/config_source_pb.js";
import { socketAddress } from "./address.js";
import { type EnvoyResource, encode } from "./resource.js";
import { outboundTls, type TlsParameters } from "./tls.js";

function duration(milliseconds: number): Duration {
  return create(DurationSchema, {
    seconds: BigInt(Math.floor(milliseconds / 1000)),
    nanos: (milliseconds % 1000) * 1_000_000,
  });
}

function cluster(
  name: string,
  connectTimeoutMs: number,
  init: MessageInitShape<typeof ClusterSchema>,
  usesEds: boolean,
): EnvoyResource {
  const message = create(ClusterSchema, { ...init, name, connectTimeout: duration(connectTimeoutMs) });
  return encode(ClusterSchema, name, message, { usesEds });
}

export const localClusterName = (servicePort: number): string => `localhost:${servicePort}`;

/** The service behind an inbound, on this machine. */
export function localCluster(servicePort: number, connectTimeoutMs: number): EnvoyResource {
  const name = localClusterName(servicePort);
  const endpoint = { address: socketAddress("127.0.0.1", servicePort) };
  return cluster(
    name,
    connectTimeoutMs,
    {
      clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
      loadAssignment: {
        clusterName: name,
        endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: endpoint } }] }],
      },
    },
    false,
  );
}

/** A service of the mesh, whose endpoints arrive by EDS on the same stream; with `tls`, its identity is verified. */
export function serviceCluster(
  name: string,
  service: string,
  connectTimeoutMs: number,
  tls: TlsParameters | undefined,
): EnvoyResource {
  const edsConfig = create(ConfigSourceSchema, {
    resourceApiVersion: ApiVersion.V3,
    configSourceSpecifier: { case: "ads", value: create(AggregatedConfigSourceSchema) },
  });
  return cluster(
    name,
    connectTimeoutMs,
    {
      clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
      edsClusterConfig: { edsConfig },
      ...(tls === undefined ? {} : { transportSocket: outboundTls(tls, service) }),
    },
    true,
  );
}

export const passThroughName = "pass_through";

/** Where redirected connections to addresses outside the mesh go on to. */
export function passThroughCluster(connectTimeoutMs: number): EnvoyResource {
  return cluster(
    passThroughName,
    connectTimeoutMs,
    {
      clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.ORIGINAL_DST },
      lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
    },
    false,
  );
}
