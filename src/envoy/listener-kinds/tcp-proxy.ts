import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import {
  TcpProxySchema,
  UpstreamConnectMode,
} from "../../../proto-gen/es/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { ListenerDraft, ListenerKind } from "./listener-kind.js";

/**
 * By default the proxy connects to the service as soon as a client connects: whoever fails in the handshake would have
 * been noticed by the service, and could hold connections to it. Nothing is read before the handshake, so there is
 * nothing to keep meanwhile.
 */
const afterHandshake = {
  upstreamConnectMode: UpstreamConnectMode.ON_DOWNSTREAM_TLS_HANDSHAKE,
  maxEarlyDataBytes: 0,
};

function clusterSpecifier([first, ...others]: ListenerDraft["clusters"]) {
  if (others.length === 0) return { case: "cluster" as const, value: first.name };
  return { case: "weightedClusters" as const, value: { clusters: [first, ...others] } };
}

/** Hands on bytes, whatever they are. */
export const tcpProxy: ListenerKind = {
  name: "tcp",
  serves: () => true,
  lastFilter({ clusters, statPrefix, accessLog, revision, transportSocket, tcpProxy: set }) {
    const proxy = create(TcpProxySchema, {
      statPrefix,
      clusterSpecifier: clusterSpecifier(clusters),
      accessLog,
      // Zero is "never"; by Envoy's default a connection that is silent for an hour is closed.
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
