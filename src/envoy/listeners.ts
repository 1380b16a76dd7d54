import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { ListenerSchema } from "../../proto-gen/es/envoy/config/listener/v3/listener_pb.js";
import { TcpProxySchema } from "../../proto-gen/es/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { socketAddress } from "./address.js";
import { passThroughName } from "./clusters.js";
import { type EnvoyResource, encode } from "./resource.js";

/** Where a listener sends connections, and how its statistics are called. */
interface Target {
  readonly cluster: string;
  readonly statPrefix: string;
}

interface Place {
  readonly address: string;
  readonly port: number;
}

/** Envoy writes `:` and `.` of a prefix in its own ways; underscores read the same everywhere. */
const statName = (text: string) => text.replaceAll(/[:.]/g, "_");

function tcpProxy({ cluster, statPrefix }: Target) {
  const proxy = create(TcpProxySchema, { statPrefix, clusterSpecifier: { case: "cluster", value: cluster } });
  return {
    name: "envoy.filters.network.tcp_proxy",
    configType: { case: "typedConfig" as const, value: anyPack(TcpProxySchema, proxy) },
  };
}

function listener(
  name: string,
  { address, port }: Place,
  target: Target,
  options: { readonly bind: boolean; readonly useOriginalDst?: boolean },
): EnvoyResource {
  const message = create(ListenerSchema, {
    name,
    address: socketAddress(address, port),
    // With Envoy's default, two sidecars that are given one port would share its connections
    // by chance; without it the second one is refused and says so.
    enableReusePort: false,
    filterChains: [{ filters: [tcpProxy(target)] }],
    ...(options.bind ? {} : { bindToPort: false }),
    ...(options.useOriginalDst === true ? { useOriginalDst: true } : {}),
  });
  return encode(ListenerSchema, name, message, { clusters: [target.cluster] });
}

/** Takes connections from the mesh and hands them to the service on this machine. */
export function inboundListener(place: Place, cluster: string, bind: boolean): EnvoyResource {
  return listener(
    `inbound:${place.address}:${place.port}`,
    place,
    { cluster, statPrefix: statName(cluster) },
    { bind },
  );
}

/** Takes connections from the service on this machine and hands them to a service of the mesh. */
export function outboundListener(place: Place, service: string, cluster: string, bind: boolean): EnvoyResource {
  return listener(
    `outbound:${place.address}:${place.port}`,
    place,
    { cluster, statPrefix: statName(service) },
    { bind },
  );
}

/** Takes every redirected connection and hands it to the listener of its original destination, if there is one. */
export function catchAllListener(port: number): EnvoyResource {
  return listener(
    "catch_all",
    { address: "0.0.0.0", port },
    { cluster: passThroughName, statPrefix: passThroughName },
    { bind: true, useOriginalDst: true },
  );
}
