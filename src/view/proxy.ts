import { type Dataplane, parseInboundInterface, parseOutboundInterface } from "../resources/dataplane.js";
import { anyAddress } from "../resources/interface.js";
import type { Stored } from "../store/store.js";
import type { Endpoint, Inbound, Outbound, ProxyView } from "./mesh-view.js";

/** Parses a stored Dataplane. Fields that do not parse are listed in `unusable` instead of failing the mesh. */
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

/** The services of a proxy's inbounds, as its certificate names them: sorted, without duplicates. */
export const servicesOf = ({ inbounds }: ProxyView): readonly string[] =>
  [...new Set(inbounds.map(({ service }) => service))].sort();

/** Groups inbounds by listener: several services may share one. */
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

/** The inbound whose service identifies the whole proxy: the first by service name; undefined without inbounds. */
export function identifyingInbound(inbounds: readonly Inbound[]): Inbound | undefined {
  let first: Inbound | undefined;
  for (const inbound of inbounds) if (first === undefined || inbound.service < first.service) first = inbound;
  return first;
}

/** An inbound that is not an endpoint for other proxies. */
interface UnreachableInbound {
  /** Its path: `networking.inbound[0]`. */
  readonly field: string;
  readonly service: string;
}

/**
 * The inbounds whose address is 0.0.0.0: another proxy would connect to its own machine. The API rejects them, but an
 * older version may have stored them.
 */
export function unreachableInbounds({ inbounds, unusable }: ProxyView): readonly UnreachableInbound[] {
  if (unusable.length > 0) return [];
  return inbounds.flatMap(({ address, service }, index) =>
    address === anyAddress ? [{ field: `networking.inbound[${index}]`, service }] : [],
  );
}

/** The endpoints of a proxy, by service. `down`: the ports that its applications do not accept connections on. */
export function endpointsOf(proxy: ProxyView, down?: ReadonlySet<number>): Map<string, Endpoint[]> {
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
