import { sharesOf } from "../policy/matching.js";
import { mtlsEnabled } from "../resources/mesh.js";
import { serviceTag } from "../resources/tags.js";
import type { MeshView, ProxyView } from "../view/mesh-view.js";
import { listenersOf } from "../view/proxy.js";
import { type AssignmentSource, assignment } from "./assignments.js";
import {
  localCluster,
  localClusterName,
  nowhereCluster,
  nowhereName,
  passThroughCluster,
  serviceClusterName,
  serviceClusters,
} from "./clusters.js";
import { contributionsOf, type Scope } from "./contribution.js";
import type { ConfigDraft, PolicyEffect } from "./effects/effect.js";
import type { GeneratorOptions } from "./generator-options.js";
import type { ListenerKind, ListenerSubject, WeightedCluster } from "./listener-kinds/listener-kind.js";
import { tcpProxy } from "./listener-kinds/tcp-proxy.js";
import { catchAllListener, createListeners } from "./listeners.js";
import { inboundProblem } from "./own-servers.js";
import type { Placement } from "./placement.js";
import type { EnvoyResource } from "./resource.js";
import type { SecretServerAddress, TlsParameters } from "./tls.js";

/** A configuration under construction, with its inputs. */
export interface Draft extends ConfigDraft {
  /** Services whose endpoints or policies it depends on. */
  readonly upstreams: Set<string>;
  readonly assignments: Map<string, AssignmentSource>;
}

const nowhere: WeightedCluster = { name: nowhereName, weight: 100 };

/** Adds a resource unless there is one of that name: two inbounds with the same service port share a cluster. */
function addOnce(into: Map<string, EnvoyResource>, resource: EnvoyResource): void {
  if (!into.has(resource.name)) into.set(resource.name, resource);
}

/** By the placement of a proxy. */
const knownTls = new WeakMap<Placement, { readonly server: SecretServerAddress; readonly tls: TlsParameters }>();

/** Frozen, and made once for each proxy: the cache keys of its clusters and inbound listeners then hold its hash only. */
function tlsOf(
  mesh: MeshView,
  server: SecretServerAddress | undefined,
  placement: Placement,
): TlsParameters | undefined {
  if (!mtlsEnabled(mesh.resource?.spec)) return undefined;
  if (server === undefined) throw new Error(`mesh "${mesh.name}" has mTLS on, and there is no secret server`);
  const known = knownTls.get(placement);
  if (known?.server === server && known.tls.mesh === mesh.name) return known.tls;
  const { byHost } = server;
  const tls = Object.freeze({
    mesh: mesh.name,
    server: Object.freeze(byHost === undefined ? { ...server } : { ...server, byHost: Object.freeze({ ...byHost }) }),
    tokenPath: placement.tokenPath,
    controlPlaneHost: placement.controlPlaneHost,
    revision: placement.bootstrapRevision,
  });
  knownTls.set(placement, { server, tls });
  return tls;
}

/**
 * The inputs of effects for a proxy.
 * @throws when the mesh has mTLS on and there is no secret server: it must not fall back to plaintext
 */
export const scopeOf = (
  proxy: ProxyView,
  mesh: MeshView,
  { secretServer }: GeneratorOptions,
  placement: Placement,
): Scope => ({ proxy, mesh: mesh.resource, placement, tls: tlsOf(mesh, secretServer, placement) });

/** The inbounds that a proxy may have. The API rejects others, but an older version may have stored them. */
function allowedInbounds({ inbounds }: ProxyView, { ownServers }: GeneratorOptions): ProxyView["inbounds"] {
  if (ownServers === undefined) return inbounds;
  const allowed = inbounds.filter((inbound) => inboundProblem(ownServers, inbound) === undefined);
  return allowed.length === inbounds.length ? inbounds : allowed;
}

/** Generates Kuma's profile `default-proxy`. */
export interface DefaultProxy {
  /** The listeners of a proxy's inbounds: the only resources that depend on inbound policies. */
  inboundListeners(policies: MeshView["policies"], scope: Scope, options: GeneratorOptions): EnvoyResource[];
  /** Adds all resources of the profile, with Kuma's names and contents. */
  add(draft: Draft, mesh: MeshView): void;
}

export function createDefaultProxy(effects: readonly PolicyEffect[], kinds: readonly ListenerKind[]): DefaultProxy {
  const inbound = contributionsOf(effects, (effect) => effect.inbound);
  const outbound = contributionsOf(effects, (effect) => effect.outbound);
  const cluster = contributionsOf(effects, (effect) => effect.cluster);
  const listeners = createListeners(kinds, { inbound, outbound });
  const serviceCluster = serviceClusters(cluster);
  const kindOf = (subject: ListenerSubject) => (kinds.find((kind) => kind.serves(subject)) ?? tcpProxy).name;

  function inboundListeners(policies: MeshView["policies"], scope: Scope, options: GeneratorOptions): EnvoyResource[] {
    const { proxy, placement } = scope;
    const binding = { bind: proxy.redirectPort === 0, revision: placement.bootstrapRevision };
    return [...listenersOf(allowedInbounds(proxy, options))].map((inbounds) => {
      const [{ address, port, servicePort }] = inbounds;
      const tags = inbounds.map((member) => member.tags);
      const kind = kindOf({ side: "inbound", tags });
      const parameters = inbound.parametersOf(policies, tags, scope);
      const cluster = localClusterName(servicePort);
      return listeners.inbound({ address, port, ...binding, kind, cluster, policies: parameters });
    });
  }

  function add(draft: Draft, mesh: MeshView): void {
    const { proxy, placement, tls, upstreams, assignments, options } = draft;
    const { cds, eds, lds } = draft.config;
    const { policies } = mesh;
    const revision = placement.bootstrapRevision;
    const common = { connectTimeoutMs: options.connectTimeoutMs, revision };
    const redirected = proxy.redirectPort !== 0;

    if (redirected) {
      addOnce(cds, passThroughCluster(common));
      addOnce(lds, catchAllListener({ port: proxy.redirectPort, revision }));
    }
    for (const [{ servicePort }] of listenersOf(allowedInbounds(proxy, options))) {
      addOnce(cds, localCluster({ ...common, servicePort }));
    }
    for (const listener of inboundListeners(policies, draft, options)) addOnce(lds, listener);
    for (const { service, address, port } of proxy.outbounds) {
      upstreams.add(service);
      const clusters: WeightedCluster[] = [];
      for (const { weight, destination } of sharesOf(policies, proxy.inbounds, service)) {
        const target = destination[serviceTag] ?? "";
        const name = serviceClusterName(destination);
        upstreams.add(target);
        clusters.push({ name, weight });
        const parameters = cluster.parametersOf(policies, target, draft);
        addOnce(cds, serviceCluster({ ...common, name, service: target, tls, policies: parameters }));
        addOnce(eds, assignment(name, mesh.services.get(target)?.endpoints, destination));
        assignments.set(name, { service: target, tags: destination });
      }
      const [first, ...others] = clusters;
      if (first === undefined) addOnce(cds, nowhereCluster(common));
      const kind = kindOf({ side: "outbound", service });
      const to = { service, clusters: [first ?? nowhere, ...others] as const };
      const parameters = outbound.parametersOf(policies, service, draft);
      addOnce(
        lds,
        listeners.outbound({ address, port, bind: !redirected, revision, kind, ...to, policies: parameters }),
      );
    }
  }

  return { inboundListeners, add };
}
