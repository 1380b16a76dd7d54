import { type Dataplane, parseInboundInterface, parseOutboundInterface } from "../resources/dataplane.js";
import { anyAddress } from "../resources/interface.js";
import type { Stored } from "../store/store.js";
import type { Endpoint, Inbound, Outbound, ProxyView } from "./mesh-view.js";

/** Reads a stored Dataplane; what does not parse is named in `unusable` instead of failing the mesh. */
export function readProxy(stored: Stored<Dataplane>): ProxyView {
  const inbounds: Inbound[] = [];
  const outbounds: Outbound[] = [];
  const unusable: string[] = [];
  const networking = stored.spec.networking;

  networking?.inbound?.forEach((inbound, index) => {
    const parsed = parseInboundInterface(inbound.interface ?? "");
    const service = inbound.tags?.service;
    if (parsed === undefined || service === undefined) unusable.push(`networking.inbound[${index}]`);
    else {
      const { ip, port, servicePort } = parsed;
      inbounds.push({ address: ip, port, servicePort, service, tags: inbound.tags ?? {} });
    }
  });
  networking?.outbound?.forEach((outbound, index) => {
    const parsed = parseOutboundInterface(outbound.interface ?? "");
    const service = outbound.service;
    if (parsed === undefined || service === undefined) unusable.push(`networking.outbound[${index}]`);
    else outbounds.push({ address: parsed.ip, port: parsed.port, service });
  });

  const redirectPort = networking?.transparentProxying?.redirectPort ?? 0;
  return { name: stored.name, inbounds, outbounds, redirectPort, unusable };
}

/** The services that a proxy is, as its certificate names them: sorted, each once. */
export const servicesOf = ({ inbounds }: ProxyView): readonly string[] =>
  [...new Set(inbounds.map(({ service }) => service))].sort();

/** Inbounds by listener: several services may share one. */
export function listenersOf(inbounds: readonly Inbound[]): Iterable<readonly [Inbound, ...Inbound[]]> {
  const groups = new Map<string, [Inbound, ...Inbound[]]>();
  for (const inbound of inbounds) {
    const place = `${inbound.address}:${inbound.port}`;
    const group = groups.get(place);
    if (group === undefined) groups.set(place, [inbound]);
    else group.push(inbound);
  }
  return groups.values();
}

/** The inbound whose service stands for the whole proxy: the first by its service; undefined without inbounds. */
export function identifyingInbound(inbounds: readonly Inbound[]): Inbound | undefined {
  let first: Inbound | undefined;
  for (const inbound of inbounds) if (first === undefined || inbound.service < first.service) first = inbound;
  return first;
}

/** An inbound that no other proxy is sent to. */
interface UnreachableInbound {
  /** Its path: `networking.inbound[0]`. */
  readonly field: string;
  readonly service: string;
}

/**
 * The inbounds whose address is 0.0.0.0: another proxy would connect to its own machine. They are refused today, and
 * may be in a store that an older version wrote.
 */
export function unreachableInbounds({ inbounds, unusable }: ProxyView): readonly UnreachableInbound[] {
  if (unusable.length > 0) return [];
  return inbounds.flatMap(({ address, service }, index) =>
    address === anyAddress ? [{ field: `networking.inbound[${index}]`, service }] : [],
  );
}

/** What a proxy offers to the mesh, by service; `down` are the ports at which its applications accept nothing. */
export function offers(proxy: ProxyView, down?: ReadonlySet<number>): Map<string, Endpoint[]> {
  const byService = new Map<string, Endpoint[]>();
  if (proxy.unusable.length > 0) return byService;
  for (const { address, port, servicePort, service, tags } of proxy.inbounds) {
    if (address === anyAddress) continue;
    const endpoints = byService.get(service);
    const endpoint: Endpoint = { address, port, tags, ...(down?.has(servicePort) === true ? { down: true } : {}) };
    if (endpoints === undefined) byService.set(service, [endpoint]);
    else endpoints.push(endpoint);
  }
  return byService;
}
