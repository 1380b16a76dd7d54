import { create } from "@bufbuild/protobuf";
import { ListenerSchema } from "../../proto-gen/es/envoy/config/listener/v3/listener_pb.js";
import { socketAddress } from "./address.js";
import { passThroughName } from "./clusters.js";
import type { Contributions, PolicyParameters } from "./contribution.js";
import { listenerKeepalive } from "./keepalive.js";
import type { ListenerDraft, ListenerKind } from "./listener-kinds/listener-kind.js";
import { tcpProxy } from "./listener-kinds/tcp-proxy.js";
import { memo } from "./memo.js";
import { type EnvoyResource, encode } from "./resource.js";

interface Place {
  readonly address: string;
  readonly port: number;
}

/** Envoy changes `:` and `.` in stat prefixes in several ways; underscores stay the same everywhere. */
const statName = (text: string) => text.replaceAll(/[:.]/g, "_");

/** The options of a listener's socket. */
export interface Binding {
  readonly bind: boolean;
  /** The revision of the proxy's bootstrap: from 1 on, connections have TCP keepalive and no idle timeout. */
  readonly revision: number;
}

interface Options extends Binding, Pick<ListenerDraft, "clusters"> {
  /** Becomes the stat prefix. */
  readonly statsOf: string;
  readonly kind: ListenerKind;
  readonly useOriginalDst?: boolean;
}

function listener(
  name: string,
  { address, port }: Place,
  { statsOf, kind, clusters, ...options }: Options,
  addPolicies: (draft: ListenerDraft) => void = () => {},
): EnvoyResource {
  const draft: ListenerDraft = {
    statName: statName(name),
    statPrefix: statName(statsOf),
    clusters,
    revision: options.revision,
    filters: [],
    accessLog: [],
    transportSocket: undefined,
    tcpProxy: {},
  };
  addPolicies(draft);
  const { filters, transportSocket } = draft;
  const message = create(ListenerSchema, {
    name,
    address: socketAddress(address, port),
    // With Envoy's default, two sidecars that bind the same port would share its connections
    // at random; without it, the second one fails with an error.
    enableReusePort: false,
    filterChains: [
      {
        filters: [...filters, kind.lastFilter(draft)],
        ...(transportSocket === undefined ? {} : { transportSocket }),
      },
    ],
    ...(options.bind ? {} : { bindToPort: false }),
    ...(options.revision >= 1 && options.bind ? { socketOptions: [...listenerKeepalive] } : {}),
    ...(options.useOriginalDst === true ? { useOriginalDst: true } : {}),
  });
  return encode(ListenerSchema, name, message, { clusters: clusters.map((cluster) => cluster.name), kind: kind.words });
}

export const inboundListenerName = ({ address, port }: Place): string => `inbound:${address}:${port}`;
export const outboundListenerName = ({ address, port }: Place): string => `outbound:${address}:${port}`;

/** The options of an inbound or outbound listener. */
interface ListenerOptions extends Place, Binding {
  /** The name of its listener kind. */
  readonly kind: string;
  readonly policies: PolicyParameters;
}

/** The options of an inbound listener. */
export interface InboundOptions extends ListenerOptions {
  readonly cluster: string;
}

/** The options of an outbound listener. */
export interface OutboundOptions extends ListenerOptions {
  readonly service: string;
  /** The clusters that connections are sent to, with weights. */
  readonly clusters: ListenerDraft["clusters"];
}

type Add = Pick<Contributions<never, ListenerDraft, never>, "addTo">;

/** Creates inbound and outbound listeners of these kinds, with the contributions of policies. */
export function createListeners(
  kinds: readonly ListenerKind[],
  add: { readonly inbound: Add; readonly outbound: Add },
) {
  const kindOf = (name: string) => kinds.find((kind) => kind.name === name) ?? tcpProxy;
  return {
    /** Accepts connections from the mesh and forwards them to the local application. */
    inbound: memo(({ address, port, bind, revision, kind, cluster, policies }: InboundOptions) => {
      const place = { address, port };
      const clusters = [{ name: cluster, weight: 100 }] as const;
      const options = { bind, revision, clusters, statsOf: cluster, kind: kindOf(kind) };
      return listener(inboundListenerName(place), place, options, (draft) => add.inbound.addTo(draft, policies));
    }),
    /** Accepts connections from the local application and forwards them to services of the mesh. */
    outbound: memo(({ address, port, bind, revision, kind, service, clusters, policies }: OutboundOptions) => {
      const place = { address, port };
      const options = { bind, revision, clusters, statsOf: service, kind: kindOf(kind) };
      return listener(outboundListenerName(place), place, options, (draft) => add.outbound.addTo(draft, policies));
    }),
  };
}

/** Accepts every redirected connection and hands it to the listener of its original destination, if there is one. */
export const catchAllListener = memo(({ port, revision }: { readonly port: number; readonly revision: number }) => {
  const clusters = [{ name: passThroughName, weight: 100 }] as const;
  const options = { bind: true, revision, clusters, statsOf: passThroughName, kind: tcpProxy, useOriginalDst: true };
  return listener("catch_all", { address: "0.0.0.0", port }, options);
});
