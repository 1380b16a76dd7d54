import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AccessLog } from "../../../proto-gen/es/envoy/config/accesslog/v3/accesslog_pb.js";
import type { FilterChainSchema } from "../../../proto-gen/es/envoy/config/listener/v3/listener_components_pb.js";
import type {
  TcpProxy,
  TcpProxySchema,
} from "../../../proto-gen/es/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { Tags } from "../../resources/tags.js";

/** A cluster that a listener sends connections to, and its weight. */
export interface WeightedCluster {
  readonly name: string;
  readonly weight: number;
}

type FilterChain = MessageInitShape<typeof FilterChainSchema>;

/** A filter of a listener's filter chain. */
export type NetworkFilter = NonNullable<FilterChain["filters"]>[number];

/** A listener under construction, whose filter chain its kind and the policies fill. */
export interface ListenerDraft {
  /** The listener's name in statistics. */
  readonly statName: string;
  /** The stat prefix of its last filter. */
  readonly statPrefix: string;
  /** The clusters that it sends connections to. */
  readonly clusters: readonly [WeightedCluster, ...WeightedCluster[]];
  /** The revision of the proxy's bootstrap. */
  readonly revision: number;
  /** Filters before the last one. */
  readonly filters: NetworkFilter[];
  readonly accessLog: AccessLog[];
  transportSocket: FilterChain["transportSocket"];
  /** Fields of the TCP proxy that policies set. */
  readonly tcpProxy: Exclude<MessageInitShape<typeof TcpProxySchema>, TcpProxy>;
}

/** The inbounds or the outbound that a listener serves. */
export type ListenerSubject =
  /** The inbounds with these sets of tags. */
  | { readonly side: "inbound"; readonly tags: readonly Tags[] }
  /** An outbound to this service. */
  | { readonly side: "outbound"; readonly service: string };

/** A kind of listener, such as TCP proxy. */
export interface ListenerKind {
  readonly name: string;
  /** Whether this kind serves the listener; the first kind that returns true is used. */
  serves(subject: ListenerSubject): boolean;
  /** The terminal filter of the chain. It must depend on the draft only. */
  lastFilter(draft: ListenerDraft): NetworkFilter;
  /** Text that `explain` shows for a listener of this kind; none if absent. */
  readonly words?: string;
}
