import { mayLogTo } from "../lib/log-directories.js";
import { backendOf, backendsOf, loggedFile } from "../policy/logging.js";
import { healthCheckOf, type LogRule, logRules, sharesOf } from "../policy/matching.js";
import { permitted } from "../policy/permissions.js";
import { mtlsEnabled } from "../resources/mesh.js";
import { rulePath } from "../resources/rules.js";
import { serviceTag } from "../resources/tags.js";
import type { MeshView, ProxyView } from "../view/mesh-view.js";
import { identifyingInbound, listenersOf } from "../view/proxy.js";
import { isUsable, type Logging } from "./access-logs.js";
import { type AssignmentSource, assignment } from "./assignments.js";
import {
  localCluster,
  localClusterName,
  nowhereCluster,
  nowhereName,
  passThroughCluster,
  serviceCluster,
  serviceClusterName,
} from "./clusters.js";
import { type Ignored, outsideText } from "./ignored.js";
import { catchAllListener, inboundListener, outboundListener, type WeightedCluster } from "./listeners.js";
import { inboundProblem, type OwnServers } from "./own-servers.js";
import type { Placement } from "./placement.js";
import type { EnvoyResource, ProxyTables } from "./resource.js";
import type { SecretServerAddress, TlsParameters } from "./tls.js";

/** Settings of the control plane that go into what we generate, equal for all proxies. */
export interface DefaultProxySettings {
  readonly connectTimeoutMs: number;
  /** Where proxies get their certificates; a mesh with mTLS can't be configured without. */
  readonly secretServer: SecretServerAddress | undefined;
  /** Servers of the control plane that no proxy may listen in front of or lead to; none when left out. */
  readonly ownServers?: OwnServers | undefined;
}

/** A configuration that is being made. */
interface Draft {
  readonly config: ProxyTables;
  /** Services whose endpoints or policies went into it. */
  readonly services: Set<string>;
  readonly assignments: Map<string, AssignmentSource>;
  readonly ignored: Ignored[];
}

const nowhere: WeightedCluster = { name: nowhereName, weight: 100 };

/** Keeps the first resource of a name, as two inbounds with one service port share a cluster. */
function keep(into: Map<string, EnvoyResource>, resource: EnvoyResource): void {
  if (!into.has(resource.name)) into.set(resource.name, resource);
}

function tlsOf(mesh: MeshView, server: SecretServerAddress | undefined, placement: Placement) {
  if (!mtlsEnabled(mesh.resource?.spec)) return undefined;
  if (server === undefined) throw new Error(`mesh "${mesh.name}" has mTLS on, and there is no secret server`);
  const { tokenPath, controlPlaneHost, bootstrapRevision: revision } = placement;
  return { mesh: mesh.name, server, tokenPath, controlPlaneHost, revision } satisfies TlsParameters;
}

/** What there is to say of a rule that logs nothing. */
function silentRule({ policy, index, backend }: LogRule): Ignored {
  const path = rulePath(policy.spec, index);
  return {
    policy,
    field: `${path === undefined ? "" : `${path}.`}conf.backend`,
    reason:
      backend === undefined
        ? "the mesh has no default backend"
        : `the mesh has no logging backend ${JSON.stringify(backend)}`,
  };
}

/** Of a Dataplane none of whose inbounds can be used. */
const nobody = { address: "-", service: "unknown" };

/** How the connections to a service are logged, if they are: as far as the mesh has where to. */
function loggingOf(
  { policies, resource: mesh }: MeshView,
  { inbounds }: ProxyView,
  service: string,
  { logDirectories }: Placement,
  ignored: Ignored[],
): Logging | undefined {
  const rules = logRules(policies, inbounds, service);
  if (mesh === undefined || rules.length === 0) return undefined;
  for (const rule of rules) if (backendOf(rule, mesh.spec) === undefined) ignored.push(silentRule(rule));
  const backends = backendsOf(rules, mesh.spec).filter((backend) => {
    const field = `logging.backends[${mesh.spec.logging?.backends?.indexOf(backend)}]`;
    const file = loggedFile(backend);
    if (!isUsable(backend)) ignored.push({ policy: mesh, field, reason: "no Envoy would take it" });
    else if (file === undefined || mayLogTo(logDirectories, file)) return true;
    else ignored.push({ policy: mesh, field: `${field}.file.path`, reason: outsideText(file) });
    return false;
  });
  if (backends.length === 0) return undefined;
  const source = identifyingInbound(inbounds) ?? nobody;
  const traffic = { sourceAddress: source.address, sourceService: source.service, destinationService: service };
  return { backends, traffic };
}

/** The inbounds that a proxy may have. The door refuses others, but they may have been stored before they were. */
function allowedInbounds({ inbounds }: ProxyView, { ownServers }: DefaultProxySettings): ProxyView["inbounds"] {
  if (ownServers === undefined) return inbounds;
  const allowed = inbounds.filter((inbound) => inboundProblem(ownServers, inbound) === undefined);
  return allowed.length === inbounds.length ? inbounds : allowed;
}

/**
 * The listeners of a proxy's inbounds: all of its configuration that depends on permissions.
 * @throws as `addDefaultProxy` does
 */
export function inboundListeners(
  proxy: ProxyView,
  mesh: MeshView,
  settings: DefaultProxySettings,
  placement: Placement,
): EnvoyResource[] {
  const binding = { bind: proxy.redirectPort === 0, revision: placement.bootstrapRevision };
  const tls = tlsOf(mesh, settings.secretServer, placement);
  return [...listenersOf(allowedInbounds(proxy, settings))].map((inbounds) => {
    const [inbound] = inbounds;
    const tags = inbounds.map((member) => member.tags);
    const protection = tls === undefined ? undefined : { tls, permitted: permitted(mesh.policies, tags) };
    const { address, port, servicePort } = inbound;
    return inboundListener({ address, port, ...binding, cluster: localClusterName(servicePort), protection });
  });
}

/**
 * Adds what Kuma's profile `default-proxy` has for a proxy: names and contents are those of Kuma.
 * @throws when the mesh has mTLS on and there is no secret server: plaintext is no way out
 */
export function addDefaultProxy(
  { config: { cds, eds, lds }, services, assignments, ignored }: Draft,
  proxy: ProxyView,
  mesh: MeshView,
  settings: DefaultProxySettings,
  placement: Placement,
): void {
  const { connectTimeoutMs, secretServer } = settings;
  const revision = placement.bootstrapRevision;
  const common = { connectTimeoutMs, revision };
  const redirected = proxy.redirectPort !== 0;
  const tls = tlsOf(mesh, secretServer, placement);

  if (redirected) {
    keep(cds, passThroughCluster(common));
    keep(lds, catchAllListener({ port: proxy.redirectPort, revision }));
  }
  for (const [{ servicePort }] of listenersOf(allowedInbounds(proxy, settings))) {
    keep(cds, localCluster({ ...common, servicePort }));
  }
  for (const listener of inboundListeners(proxy, mesh, settings, placement)) keep(lds, listener);
  for (const { service, ...place } of proxy.outbounds) {
    services.add(service);
    const clusters: WeightedCluster[] = [];
    for (const { weight, destination } of sharesOf(mesh.policies, proxy.inbounds, service)) {
      const target = destination[serviceTag] ?? "";
      const name = serviceClusterName(destination);
      const check = healthCheckOf(mesh.policies, proxy.inbounds, target);
      // Its selectors are not among what the cluster depends on.
      const healthCheck = check === undefined ? undefined : { conf: check.conf };
      services.add(target);
      clusters.push({ name, weight });
      keep(cds, serviceCluster({ ...common, name, service: target, tls, healthCheck }));
      keep(eds, assignment(name, mesh.services.get(target)?.endpoints, destination));
      assignments.set(name, { service: target, tags: destination });
    }
    const [first, ...others] = clusters;
    if (first === undefined) keep(cds, nowhereCluster(common));
    const logging = loggingOf(mesh, proxy, service, placement, ignored);
    const { address, port } = place;
    const binding = { bind: !redirected, revision };
    keep(
      lds,
      outboundListener({ address, port, ...binding, service, clusters: [first ?? nowhere, ...others], logging }),
    );
  }
}
