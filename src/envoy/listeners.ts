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

/** Envoy writes `:` and `.` of a prefix in its own ways; underscores read the same everywhere. */
const statName = (text: string) => text.replaceAll(/[:.]/g, "_");

/** What a listener does with its socket. */
export interface Binding {
  readonly bind: boolean;
  /** The revision of the proxy's bootstrap: from 1 on, connections have TCP keepalive and no idle timeout. */
  readonly revision: number;
}

interface Options extends Binding, Pick<ListenerDraft, "clusters"> {
  /** What its statistics are called after. */
  readonly about: string;
  readonly kind: ListenerKind;
  readonly useOriginalDst?: boolean;
}

function listener(
  name: string,
  { address, port }: Place,
  { about, kind, clusters, ...options }: Options,
  addPolicies: (draft: ListenerDraft) => void = () => {},
): EnvoyResource {
  const draft: ListenerDraft = {
    statName: statName(name),
    statPrefix: statName(about),
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
    // With Envoy's default, two sidecars that are given one port would share its connections
    // by chance; without it the second one is refused and says so.
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

/** What the listener of an inbound or of an outbound depends on. */
interface ListenerOptions extends Place, Binding {
  /** The name of its kind. */
  readonly kind: string;
  readonly policies: PolicyParameters;
}

/** What a listener of an inbound depends on. */
export interface InboundOptions extends ListenerOptions {
  readonly cluster: string;
}

/** What a listener of an outbound depends on. */
export interface OutboundOptions extends ListenerOptions {
  readonly service: string;
  /** Where connections go, by weight. */
  readonly clusters: ListenerDraft["clusters"];
}

type Add = Pick<Contributions<never, ListenerDraft, never>, "addTo">;

/** Makes the listeners of inbounds and outbounds, which are of some kind and have what policies add. */
export function createListeners(
  kinds: readonly ListenerKind[],
  add: { readonly inbound: Add; readonly outbound: Add },
) {
  const kindOf = (name: string) => kinds.find((kind) => kind.name === name) ?? tcpProxy;
  return {
    /** Takes connections from the mesh and hands them to the service on this machine. */
    inbound: memo(({ address, port, bind, revision, kind, cluster, policies }: InboundOptions) => {
      const place = { address, port };
      const clusters = [{ name: cluster, weight: 100 }] as const;
      const options = { bind, revision, clusters, about: cluster, kind: kindOf(kind) };
      return listener(inboundListenerName(place), place, options, (draft) => add.inbound.addTo(draft, policies));
    }),
    /** Takes connections from the service on this machine and hands them to services of the mesh. */
    outbound: memo(({ address, port, bind, revision, kind, service, clusters, policies }: OutboundOptions) => {
      const place = { address, port };
      const options = { bind, revision, clusters, about: service, kind: kindOf(kind) };
      return listener(outboundListenerName(place), place, options, (draft) => add.outbound.addTo(draft, policies));
    }),
  };
}

/** Takes every redirected connection and hands it to the listener of its original destination, if there is one. */
export const catchAllListener = memo(({ port, revision }: { readonly port: number; readonly revision: number }) => {
  const clusters = [{ name: passThroughName, weight: 100 }] as const;
  const options = { bind: true, revision, clusters, about: passThroughName, kind: tcpProxy, useOriginalDst: true };
  return listener("catch_all", { address: "0.0.0.0", port }, options);
});
