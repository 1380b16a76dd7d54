import type { Cause } from "../lib/errors.js";
import {
  anyAddress,
  type InboundInterface,
  type OutboundInterface,
  parseInboundInterface,
  parseOutboundInterface,
  workloadAddress,
} from "./interface.js";
import { serviceTag } from "./tags.js";

/** The fields of a Dataplane that decide where its proxy listens. */
export interface Networking {
  readonly inbound?: readonly { readonly interface?: string; readonly tags?: Readonly<Record<string, string>> }[];
  readonly outbound?: readonly { readonly interface?: string; readonly service?: string }[];
  readonly transparentProxying?: { readonly redirectPort?: number };
}

/** A listener of the proxy. */
interface Listener extends OutboundInterface {
  /** Path of the interface that it belongs to. */
  readonly path: string;
  /** For inbounds: the port that it forwards connections to, and the services that share it. */
  readonly inbound?: { readonly servicePort: number; readonly services: Set<string> };
  /** For outbounds: the upstream service. */
  readonly service?: string;
}

/** Listeners by port and address. */
type Listeners = Map<number, Map<string, Listener>>;

export const inboundPath = (index: number) => `networking.inbound[${index}]`;
export const outboundPath = (index: number) => `networking.outbound[${index}]`;

/** Whether the inbound may share the listener: the same interface for another service. */
function shares({ inbound }: Listener, { servicePort }: InboundInterface, service: string): boolean {
  if (inbound === undefined || inbound.servicePort !== servicePort || inbound.services.has(service)) return false;
  inbound.services.add(service);
  return true;
}

/** The listener that accepts connections to an address: the one bound to that address, else the one bound to all. */
const listenerAt = (listeners: Listeners, ip: string, port: number): Listener | undefined =>
  listeners.get(port)?.get(ip) ?? listeners.get(port)?.get(anyAddress);

/**
 * The listener that conflicts with an address.
 * @param bound whether the listeners have sockets: only then does 0.0.0.0 conflict with every address of its port
 */
function taken(listeners: Listeners, { ip, port }: OutboundInterface, bound: boolean): Listener | undefined {
  const ofPort = listeners.get(port);
  if (ofPort === undefined) return undefined;
  if (!bound) return ofPort.get(ip);
  return ip === anyAddress ? ofPort.values().next().value : (ofPort.get(ip) ?? ofPort.get(anyAddress));
}

function overlap({ ip, port }: OutboundInterface, earlier: Listener): string {
  const used = `already used by ${earlier.path}`;
  if (ip === earlier.ip) return `${ip}:${port} is ${used}`;
  const all = `${anyAddress}:${port} is port ${port} of every address`;
  return ip === anyAddress ? `${all}, and ${earlier.ip}:${port} is ${used}` : `${ip}:${port} is ${used}: ${all}`;
}

/** All listeners, one per address; a conflict becomes a cause. */
function claimed(networking: Networking, bound: boolean, causes: Cause[]): Listeners {
  const listeners: Listeners = new Map();
  const claim = (listener: Listener, mayShare?: (other: Listener) => boolean) => {
    const earlier = taken(listeners, listener, bound);
    if (earlier !== undefined) {
      if (earlier.ip === listener.ip && mayShare?.(earlier) === true) return;
      causes.push({ field: listener.path, message: overlap(listener, earlier) });
    }
    const ofPort = listeners.get(listener.port) ?? new Map<string, Listener>();
    listeners.set(listener.port, ofPort);
    if (!ofPort.has(listener.ip)) ofPort.set(listener.ip, listener);
  };
  networking.inbound?.forEach(({ interface: written = "", tags }, index) => {
    const parsed = parseInboundInterface(written);
    if (parsed === undefined) return;
    const { ip, port, servicePort } = parsed;
    const service = tags?.[serviceTag] ?? "";
    const inbound = { servicePort, services: new Set([service]) };
    claim({ ip, port, path: `${inboundPath(index)}.interface`, inbound }, (other) => shares(other, parsed, service));
  });
  networking.outbound?.forEach(({ interface: written = "", service = "" }, index) => {
    const parsed = parseOutboundInterface(written);
    if (parsed !== undefined) claim({ ...parsed, path: `${outboundPath(index)}.interface`, service });
  });
  return listeners;
}

/** Where a listener's connections go on this machine: another listener, or all inbounds of a service. */
type Place = Listener | string;

/**
 * The listeners whose connections may loop, each with its successor: what remains after repeatedly removing listeners
 * that lead to no other listener. Linear in the number of listeners.
 */
function loops(listeners: Listeners): readonly (readonly [Listener, Listener])[] {
  const before = new Map<Place, Place[]>();
  const ahead = new Map<Place, number>();
  const next = new Map<Listener, Listener>();
  const edge = (from: Place, to: Place) => {
    const known = before.get(to);
    if (known === undefined) before.set(to, [from]);
    else known.push(from);
    ahead.set(from, (ahead.get(from) ?? 0) + 1);
    if (!ahead.has(to)) ahead.set(to, 0);
  };
  for (const listener of [...listeners.values()].flatMap((ofPort) => [...ofPort.values()])) {
    if (listener.service !== undefined) edge(listener, listener.service);
    if (listener.inbound === undefined) continue;
    for (const service of listener.inbound.services) edge(service, listener);
    const reached = listenerAt(listeners, workloadAddress, listener.inbound.servicePort);
    if (reached === undefined) continue;
    edge(listener, reached);
    next.set(listener, reached);
  }
  const ends = [...ahead].filter(([, count]) => count === 0).map(([place]) => place);
  for (let place = ends.pop(); place !== undefined; place = ends.pop()) {
    ahead.delete(place);
    for (const from of before.get(place) ?? []) {
      const count = (ahead.get(from) ?? 0) - 1;
      ahead.set(from, count);
      if (count === 0) ends.push(from);
    }
  }
  return [...next].filter(([listener]) => ahead.has(listener));
}

function loop(listener: Listener, reached: Listener): string {
  const workload = `${workloadAddress}:${listener.inbound?.servicePort}`;
  const endless = "connections would never leave the proxy";
  return listener === reached
    ? `${endless}: the workload at ${workload} would be this inbound itself; expected another WORKLOAD_PORT`
    : `${endless}: ${workload}, where the workload should listen, is used by ${reached.path}, which leads back here`;
}

/**
 * Problems with a proxy's listeners: two on one address, where Envoy rejects the second or gives it the connections of
 * the first, and inbounds that forward to themselves.
 */
export function listenerProblems(networking: Networking): Cause[] {
  const causes: Cause[] = [];
  const redirectPort = networking.transparentProxying?.redirectPort ?? 0;
  // With redirection, all connections arrive on one socket; the other listeners have none and are not reachable.
  const bound = redirectPort === 0;
  const listeners = claimed(networking, bound, causes);
  if (bound) {
    for (const [listener, reached] of loops(listeners)) {
      causes.push({ field: listener.path, message: loop(listener, reached) });
    }
    return causes;
  }
  networking.inbound?.forEach(({ interface: written = "" }, index) => {
    if (parseInboundInterface(written)?.servicePort !== redirectPort) return;
    const message = `${workloadAddress}:${redirectPort}, where the workload should listen, is used by networking.transparentProxying.redirectPort`;
    causes.push({ field: `${inboundPath(index)}.interface`, message });
  });
  return causes;
}
