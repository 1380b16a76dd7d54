import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type Cluster, ClusterSchema } from "../../proto-gen/es/envoy/config/cluster/v3/cluster_pb.js";
import { type Listener, ListenerSchema } from "../../proto-gen/es/envoy/config/listener/v3/listener_pb.js";
import { type RBAC, RBACSchema } from "../../proto-gen/es/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import { SubjectAltNameMatcher_SanType } from "../../proto-gen/es/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import {
  type CommonTlsContext,
  type DownstreamTlsContext,
  DownstreamTlsContextSchema,
  type UpstreamTlsContext,
  UpstreamTlsContextSchema,
} from "../../proto-gen/es/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { EnvoyResource } from "../../src/envoy/resource.js";

export const readListener = ({ bytes }: EnvoyResource): Listener => fromBinary(ListenerSchema, bytes);
export const readCluster = ({ bytes }: EnvoyResource): Cluster => fromBinary(ClusterSchema, bytes);

function only<T>(items: readonly T[]): T {
  const [item, ...more] = items;
  if (item === undefined || more.length > 0) throw new Error(`there are ${items.length} of them, not one`);
  return item;
}

/** The TLS context of a listener's only filter chain; undefined when that is plaintext. */
export function downstreamTls(listener: Listener): DownstreamTlsContext | undefined {
  const config = only(listener.filterChains).transportSocket?.configType;
  return config?.case === "typedConfig" ? anyUnpack(config.value, DownstreamTlsContextSchema) : undefined;
}

export function upstreamTls({ transportSocket }: Cluster): UpstreamTlsContext | undefined {
  const config = transportSocket?.configType;
  return config?.case === "typedConfig" ? anyUnpack(config.value, UpstreamTlsContextSchema) : undefined;
}

/** The RBAC filter at the start of a listener's only filter chain; undefined when another filter is first. */
export function rbac(listener: Listener): RBAC | undefined {
  const config = only(listener.filterChains).filters[0]?.configType;
  return config?.case === "typedConfig" ? anyUnpack(config.value, RBACSchema) : undefined;
}

/**
 * The names that pass a handshake, each as `URI exact NAME` or `URI prefix NAME`; undefined when any certificate
 * passes.
 */
export function acceptedNames(context: CommonTlsContext | undefined): readonly string[] | undefined {
  const validation = context?.validationContextType;
  if (validation?.case !== "combinedValidationContext") return undefined;
  const matchers = validation.value.defaultValidationContext?.matchTypedSubjectAltNames ?? [];
  if (matchers.length === 0) return undefined;
  return matchers.map(({ sanType, matcher }) => {
    const pattern = matcher?.matchPattern;
    return `${SubjectAltNameMatcher_SanType[sanType]} ${pattern?.case} ${String(pattern?.value)}`;
  });
}
