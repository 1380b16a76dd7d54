import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import type { FilterChainSchema } from "../../proto-gen/es/envoy/config/listener/v3/listener_components_pb.js";
import { ListenerSchema } from "../../proto-gen/es/envoy/config/listener/v3/listener_pb.js";
import {
  TcpProxySchema,
  UpstreamConnectMode,
} from "../../proto-gen/es/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { Permitted } from "../policy/permissions.js";
import { accessLogs, type Logging } from "./access-logs.js";
import { socketAddress } from "./address.js";
import { passThroughName } from "./clusters.js";
import { listenerKeepalive } from "./keepalive.js";
import { memo } from "./memo.js";
import { type EnvoyResource, encode } from "./resource.js";
import { inboundTls, permissionFilter, type TlsParameters } from "./tls.js";

/** A cluster that a listener sends connections to, and its share of them. */
export interface WeightedCluster {
  readonly name: string;
  readonly weight: number;
}

/** Where a listener sends connections, and how its statistics are called. */
interface Target {
  readonly clusters: readonly [WeightedCluster, ...WeightedCluster[]];
  readonly statPrefix: string;
  /** What it logs each connection by, when that ends. */
  readonly logging?: Logging;
}

interface Place {
  readonly address: string;
  readonly port: number;
}

/** Envoy writes `:` and `.` of a prefix in its own ways; underscores read the same everywhere. */
const statName = (text: string) => text.replaceAll(/[:.]/g, "_");

/**
 * By default the proxy connects to the service as soon as a client connects: whoever fails in the handshake would have
 * been noticed by the service, and could hold connections to it. Nothing is read before the handshake, so there is
 * nothing to keep meanwhile.
 */
const afterHandshake = {
  upstreamConnectMode: UpstreamConnectMode.ON_DOWNSTREAM_TLS_HANDSHAKE,
  maxEarlyDataBytes: 0,
};

function clusterSpecifier([first, ...others]: Target["clusters"]) {
  if (others.length === 0) return { case: "cluster" as const, value: first.name };
  return { case: "weightedClusters" as const, value: { clusters: [first, ...others] } };
}

function tcpProxy({ clusters, statPrefix, logging }: Target, guarded: boolean, revision: number) {
  const proxy = create(TcpProxySchema, {
    statPrefix,
    clusterSpecifier: clusterSpecifier(clusters),
    accessLog: logging === undefined ? [] : accessLogs(logging),
    // Zero is "never"; by Envoy's default a connection that is silent for an hour is closed.
    ...(revision >= 1 ? { idleTimeout: {} } : {}),
    ...(guarded ? afterHandshake : {}),
  });
  return {
    name: "envoy.filters.network.tcp_proxy",
    configType: { case: "typedConfig" as const, value: anyPack(TcpProxySchema, proxy) },
  };
}

/** What a listener does with its socket. */
export interface Binding {
  readonly bind: boolean;
  /** The revision of the proxy's bootstrap: from 1 on, connections have TCP keepalive and no idle timeout. */
  readonly revision: number;
}

interface Options extends Binding {
  readonly useOriginalDst?: boolean;
  /** What stands in the filter chain besides the proxy filter. */
  readonly guard?: Guard;
}

interface Guard {
  readonly filters: NonNullable<MessageInitShape<typeof FilterChainSchema>["filters"]>;
  readonly transportSocket: NonNullable<MessageInitShape<typeof FilterChainSchema>["transportSocket"]>;
}

function listener(name: string, { address, port }: Place, target: Target, options: Options): EnvoyResource {
  const { guard } = options;
  const message = create(ListenerSchema, {
    name,
    address: socketAddress(address, port),
    // With Envoy's default, two sidecars that are given one port would share its connections
    // by chance; without it the second one is refused and says so.
    enableReusePort: false,
    filterChains: [
      {
        filters: [...(guard?.filters ?? []), tcpProxy(target, guard !== undefined, options.revision)],
        ...(guard === undefined ? {} : { transportSocket: guard.transportSocket }),
      },
    ],
    ...(options.bind ? {} : { bindToPort: false }),
    ...(options.revision >= 1 && options.bind ? { socketOptions: [...listenerKeepalive] } : {}),
    ...(options.useOriginalDst === true ? { useOriginalDst: true } : {}),
  });
  return encode(ListenerSchema, name, message, { clusters: target.clusters.map((cluster) => cluster.name) });
}

/** Who may use an inbound while mTLS is on, and how both sides prove who they are. */
export interface Protection {
  readonly tls: TlsParameters;
  readonly permitted: Permitted;
}

function guardOf({ tls, permitted }: Protection, listenerName: string): Guard {
  return {
    filters: [permissionFilter(tls.mesh, statName(listenerName), permitted)],
    transportSocket: inboundTls({ tls, permitted }),
  };
}

export const inboundListenerName = ({ address, port }: Place): string => `inbound:${address}:${port}`;
export const outboundListenerName = ({ address, port }: Place): string => `outbound:${address}:${port}`;

/** What a listener of an inbound depends on. */
export interface InboundOptions extends Place, Binding {
  readonly cluster: string;
  /** Plaintext without it. */
  readonly protection: Protection | undefined;
}

/** Takes connections from the mesh and hands them to the service on this machine. */
export const inboundListener = memo(({ address, port, bind, revision, cluster, protection }: InboundOptions) => {
  const place = { address, port };
  const name = inboundListenerName(place);
  const guard = protection === undefined ? {} : { guard: guardOf(protection, name) };
  const target = { clusters: [{ name: cluster, weight: 100 }], statPrefix: statName(cluster) } as const;
  return listener(name, place, target, { bind, revision, ...guard });
});

/** What a listener of an outbound depends on. */
export interface OutboundOptions extends Place, Binding {
  readonly service: string;
  /** Where connections go, by weight. */
  readonly clusters: Target["clusters"];
  readonly logging: Logging | undefined;
}

/** Takes connections from the service on this machine and hands them to services of the mesh. */
export const outboundListener = memo((options: OutboundOptions) => {
  const { address, port, bind, revision, service, clusters, logging } = options;
  const place = { address, port };
  const target = { clusters, statPrefix: statName(service), ...(logging === undefined ? {} : { logging }) };
  return listener(outboundListenerName(place), place, target, { bind, revision });
});

/** Takes every redirected connection and hands it to the listener of its original destination, if there is one. */
export const catchAllListener = memo(({ port, revision }: { readonly port: number; readonly revision: number }) =>
  listener(
    "catch_all",
    { address: "0.0.0.0", port },
    { clusters: [{ name: passThroughName, weight: 100 }], statPrefix: passThroughName },
    { bind: true, revision, useOriginalDst: true },
  ),
);
