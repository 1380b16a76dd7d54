import { healthCheckOf, sharesOf } from "../policy/matching.js";
import { permitted } from "../policy/permissions.js";
import { serviceTag } from "../resources/tags.js";
import type { MeshView, ProxyView } from "../view/mesh-view.js";
import { listenersOf } from "../view/proxy.js";
import { assignment } from "./assignments.js";
import {
  localCluster,
  localClusterName,
  nowhereCluster,
  nowhereName,
  passThroughCluster,
  serviceCluster,
  serviceClusterName,
} from "./clusters.js";
import { catchAllListener, inboundListener, outboundListener, type WeightedCluster } from "./listeners.js";
import type { EnvoyResource, ProxyConfig } from "./resource.js";
import type { SecretServer, TlsParameters } from "./tls.js";

/** What one proxy is told, and what that was read from: a change of those concerns it. */
export interface Generated {
  readonly config: ProxyConfig;
  /** Services it sends connections to. */
  readonly services: ReadonlySet<string>;
  /** Services it offers. */
  readonly offered: ReadonlySet<string>;
}

/** What a configuration depends on besides the mesh: settings of the control plane, equal for all proxies. */
export interface Surroundings {
  readonly connectTimeoutMs: number;
  /** Where proxies get their certificates; a mesh with mTLS can't be configured without. */
  readonly secretServer: SecretServer | undefined;
}

/** The default of Kuma's clusters. */
export const connectTimeoutMs = 5000;

const nowhere: WeightedCluster = { name: nowhereName, weight: 100 };

/** Keeps the first resource of a name, as two inbounds with one service port share a cluster. */
function keep(into: Map<string, EnvoyResource>, resource: EnvoyResource): void {
  if (!into.has(resource.name)) into.set(resource.name, resource);
}

function tlsOf(mesh: MeshView, server: SecretServer | undefined, tokenPath: string | undefined) {
  if (mesh.mesh?.spec.mtls?.enabled !== true) return undefined;
  if (server === undefined) throw new Error(`mesh "${mesh.name}" has mTLS on, and there is no secret server`);
  return { mesh: mesh.name, server, tokenPath } satisfies TlsParameters;
}

/**
 * The Envoy configuration of one proxy: a pure function of its Dataplane, its mesh and where its token is. Resource
 * names and contents follow Kuma's `default-proxy` profile.
 * @throws when the mesh has mTLS on and there is no secret server: plaintext is no way out
 */
export function generate(
  proxy: ProxyView,
  mesh: MeshView,
  { connectTimeoutMs, secretServer }: Surroundings,
  tokenPath?: string,
): Generated {
  const cds = new Map<string, EnvoyResource>();
  const eds = new Map<string, EnvoyResource>();
  const lds = new Map<string, EnvoyResource>();
  const services = new Set<string>();
  const redirected = proxy.redirectPort !== 0;
  const tls = tlsOf(mesh, secretServer, tokenPath);

  if (redirected) {
    keep(cds, passThroughCluster(connectTimeoutMs));
    keep(lds, catchAllListener(proxy.redirectPort));
  }
  for (const inbounds of listenersOf(proxy.inbounds)) {
    const [inbound] = inbounds;
    const tags = inbounds.map((member) => member.tags);
    const protection = tls === undefined ? undefined : { tls, permitted: permitted(mesh.policies, tags) };
    keep(cds, localCluster(inbound.servicePort, connectTimeoutMs));
    keep(lds, inboundListener(inbound, localClusterName(inbound.servicePort), !redirected, protection));
  }
  for (const { service, ...place } of proxy.outbounds) {
    services.add(service);
    const clusters: WeightedCluster[] = [];
    for (const { weight, destination } of sharesOf(mesh.policies, proxy.inbounds, service)) {
      const target = destination[serviceTag] ?? "";
      const name = serviceClusterName(destination);
      const healthCheck = healthCheckOf(mesh.policies, proxy.inbounds, target);
      services.add(target);
      clusters.push({ name, weight });
      keep(cds, serviceCluster(name, { service: target, connectTimeoutMs, tls, healthCheck }));
      keep(eds, assignment(name, mesh.services.get(target)?.endpoints, destination));
    }
    const [first, ...others] = clusters;
    if (first === undefined) keep(cds, nowhereCluster(connectTimeoutMs));
    keep(lds, outboundListener(place, service, [first ?? nowhere, ...others], !redirected));
  }
  return {
    config: { cds, eds, lds, rds: new Map(), sds: new Map() },
    services,
    offered: new Set(proxy.inbounds.map(({ service }) => service)),
  };
}
