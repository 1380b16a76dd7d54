import { create } from "@bufbuild/protobuf";
import { type SocketOption, SocketOptionSchema } from "../../proto-gen/es/envoy/config/core/v3/socket_option_pb.js";

/**
 * TCP keepalive times in seconds, as Envoy and Linux define them. Connections have no idle timeout, so keepalive closes
 * those whose peer disappeared without closing them, after 5 + 3 x 1 minutes.
 */
export const tcpKeepalive = { keepaliveTime: 300, keepaliveInterval: 60, keepaliveProbes: 3 };

/** The values on Linux: all supported Envoys run there. */
const solSocket = 1n;
const ipprotoTcp = 6n;

const option = (level: bigint, name: bigint, value: number): SocketOption =>
  create(SocketOptionSchema, { level, name, value: { case: "intValue", value: BigInt(value) } });

/**
 * Keepalive for accepted connections, which inherit it from the listening socket. Set by socket options, because older
 * Envoys support no other way.
 */
export const listenerKeepalive: readonly SocketOption[] = [
  option(solSocket, 9n, 1), // SO_KEEPALIVE
  option(ipprotoTcp, 4n, tcpKeepalive.keepaliveTime), // TCP_KEEPIDLE
  option(ipprotoTcp, 5n, tcpKeepalive.keepaliveInterval), // TCP_KEEPINTVL
  option(ipprotoTcp, 6n, tcpKeepalive.keepaliveProbes), // TCP_KEEPCNT
];
