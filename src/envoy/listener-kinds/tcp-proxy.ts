import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import {
  TcpProxySchema,
  UpstreamConnectMode,
} from "../../../proto-gen/es/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { ListenerDraft, ListenerKind } from "./listener-kind.js";

/**
 * By default Envoy connects upstream as soon as a client connects: a client that fails the TLS handshake would reach
 * the service, and could keep connections to it open. No data is read before the handshake, so none needs to be
 * buffered.
 */
const afterHandshake = {
  upstreamConnectMode: UpstreamConnectMode.ON_DOWNSTREAM_TLS_HANDSHAKE,
  maxEarlyDataBytes: 0,
};

function clusterSpecifier([first, ...others]: ListenerDraft["clusters"]) {
  if (others.length === 0) return { case: "cluster" as const, value: first.name };
  return { case: "weightedClusters" as const, value: { clusters: [first, ...others] } };
}

/** Proxies bytes of any protocol. */
export const tcpProxy: ListenerKind = {
  name: "tcp",
  serves: () => true,
  lastFilter({ clusters, statPrefix, accessLog, revision, transportSocket, tcpProxy: set }) {
    const proxy = create(TcpProxySchema, {
      statPrefix,
      clusterSpecifier: clusterSpecifier(clusters),
      accessLog,
      // Zero disables the timeout; by default Envoy closes connections that are idle for an hour.
      ...(revision >= 1 ? { idleTimeout: {} } : {}),
      ...(transportSocket === undefined ? {} : afterHandshake),
      ...set,
    });
    return {
      name: "envoy.filters.network.tcp_proxy",
      configType: { case: "typedConfig", value: anyPack(TcpProxySchema, proxy) },
    };
  },
};
