import type { MeshView, ProxyView } from "../view/mesh-view.js";
import { assignment } from "./assignments.js";
import { localCluster, localClusterName, passThroughCluster, serviceCluster } from "./clusters.js";
import { catchAllListener, inboundListener, outboundListener } from "./listeners.js";
import type { EnvoyResource, ProxyConfig } from "./resource.js";

/** What one proxy is told, and which services that was read from: a change of those concerns it. */
export interface Generated {
  readonly config: ProxyConfig;
  readonly services: ReadonlySet<string>;
}

/** Numbers of the generated configuration that tests vary. */
export interface Shape {
  readonly connectTimeoutMs: number;
}

export const defaultShape: Shape = { connectTimeoutMs: 5000 };

/** Keeps the first resource of a name, as two inbounds with one service port share a cluster. */
function keep(into: Map<string, EnvoyResource>, resource: EnvoyResource): void {
  if (!into.has(resource.name)) into.set(resource.name, resource);
}

/**
 * The Envoy configuration of one proxy: a pure function of its Dataplane and its mesh. Resource names
 * and contents follow Kuma's `default-proxy` profile.
 */
export function generate(proxy: ProxyView, mesh: MeshView, shape: Shape = defaultShape): Generated {
  const cds = new Map<string, EnvoyResource>();
  const eds = new Map<string, EnvoyResource>();
  const lds = new Map<string, EnvoyResource>();
  const services = new Set<string>();
  const redirected = proxy.redirectPort !== 0;

  if (redirected) {
    keep(cds, passThroughCluster(shape.connectTimeoutMs));
    keep(lds, catchAllListener(proxy.redirectPort));
  }
  for (const inbound of proxy.inbounds) {
    keep(cds, localCluster(inbound.servicePort, shape.connectTimeoutMs));
    keep(lds, inboundListener(inbound, localClusterName(inbound.servicePort), !redirected));
  }
  for (const { service, ...place } of proxy.outbounds) {
    services.add(service);
    keep(cds, serviceCluster(service, shape.connectTimeoutMs));
    keep(eds, assignment(service, mesh.services.get(service)?.endpoints));
    keep(lds, outboundListener(place, service, service, !redirected));
  }
  return { config: { cds, eds, lds, rds: new Map(), sds: new Map() }, services };
}
