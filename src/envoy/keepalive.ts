import { create } from "@bufbuild/protobuf";
import { type SocketOption, SocketOptionSchema } from "../../proto-gen/es/envoy/config/core/v3/socket_option_pb.js";

/**
 * When a silent peer is asked whether it is still there: no idle timeout ends connections, so this is what ends those
 * whose peer is gone without a word, after 5 + 3 x 1 minutes. In seconds, as Envoy and Linux count.
 */
export const tcpKeepalive = { keepaliveTime: 300, keepaliveInterval: 60, keepaliveProbes: 3 };

/** Linux's numbers: all Envoys that we serve run there. */
const solSocket = 1n;
const ipprotoTcp = 6n;

const option = (level: bigint, name: bigint, value: number): SocketOption =>
  create(SocketOptionSchema, { level, name, value: { case: "intValue", value: BigInt(value) } });

/**
 * The same for accepted connections, which inherit it from the listening socket. As socket options, because Envoys
 * older than ours have no other way.
 */
export const listenerKeepalive: readonly SocketOption[] = [
  option(solSocket, 9n, 1), // SO_KEEPALIVE
  option(ipprotoTcp, 4n, tcpKeepalive.keepaliveTime), // TCP_KEEPIDLE
  option(ipprotoTcp, 5n, tcpKeepalive.keepaliveInterval), // TCP_KEEPINTVL
  option(ipprotoTcp, 6n, tcpKeepalive.keepaliveProbes), // TCP_KEEPCNT
];
