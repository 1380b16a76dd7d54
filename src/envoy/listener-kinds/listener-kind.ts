import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AccessLog } from "../../../proto-gen/es/envoy/config/accesslog/v3/accesslog_pb.js";
import type { FilterChainSchema } from "../../../proto-gen/es/envoy/config/listener/v3/listener_components_pb.js";
import type {
  TcpProxy,
  TcpProxySchema,
} from "../../../proto-gen/es/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { Tags } from "../../resources/tags.js";

/** A cluster that a listener sends connections to, and its share of them. */
export interface WeightedCluster {
  readonly name: string;
  readonly weight: number;
}

type FilterChain = MessageInitShape<typeof FilterChainSchema>;

/** A filter of a listener's filter chain. */
export type NetworkFilter = NonNullable<FilterChain["filters"]>[number];

/** A listener that is being made: what its kind and the policies put into its filter chain. */
export interface ListenerDraft {
  /** The listener's name as statistics are called. */
  readonly statName: string;
  /** How the statistics of its last filter are called. */
  readonly statPrefix: string;
  /** Where it sends connections. */
  readonly clusters: readonly [WeightedCluster, ...WeightedCluster[]];
  /** The revision of the proxy's bootstrap. */
  readonly revision: number;
  /** Filters before the last one. */
  readonly filters: NetworkFilter[];
  readonly accessLog: AccessLog[];
  transportSocket: FilterChain["transportSocket"];
  /** What policies set of a TCP proxy. */
  readonly tcpProxy: Exclude<MessageInitShape<typeof TcpProxySchema>, TcpProxy>;
}

/** What a listener is for. */
export type ListenerSubject =
  /** The inbounds with these sets of tags. */
  | { readonly side: "inbound"; readonly tags: readonly Tags[] }
  /** An outbound to this service. */
  | { readonly side: "outbound"; readonly service: string };

/** A way to serve connections. */
export interface ListenerKind {
  readonly name: string;
  /** Whether it is the kind for this listener; the first kind that is one counts. */
  serves(subject: ListenerSubject): boolean;
  /** The filter that ends the chain. It sees the draft and nothing else. */
  lastFilter(draft: ListenerDraft): NetworkFilter;
  /** What `explain` says of a listener of this kind; nothing without it. */
  readonly words?: string;
}
