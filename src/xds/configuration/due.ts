import { assignment } from "../../envoy/assignments.js";
import { type EnvoyResource, edsNamesOf, type ProxyConfig } from "../../envoy/resource.js";
import { absent, type Settled, type Subscription } from "./subscription.js";

/** Cached by name, because every response iterates over all names. */
function emptyAssignment(subscription: Subscription, name: string): EnvoyResource {
  subscription.empty ??= new Map();
  let resource = subscription.empty.get(name);
  if (resource === undefined) {
    resource = assignment(name);
    subscription.empty.set(name, resource);
  }
  return resource;
}

/** The resource that a client should have for a name it subscribed to; undefined when there is none. */
export function wanted(subscription: Subscription, config: ProxyConfig, name: string): EnvoyResource | undefined {
  const resource = config[subscription.kind].get(name);
  if (resource !== undefined || subscription.kind !== "eds") return resource;
  // When a cluster is removed, its listeners go first: emptying the assignment earlier would break their traffic.
  if (subscription.held.has(name) && !edsNamesOf(config).has(name)) return undefined;
  // Envoy keeps a cluster warming until its assignment arrives, and a removal does not count as one. A service
  // without endpoints and an unknown cluster therefore both get an empty assignment.
  return emptyAssignment(subscription, name);
}

function differs(subscription: Subscription, resource: EnvoyResource): boolean {
  const { name, version } = resource;
  if (subscription.resend.has(name)) return true;
  const held = subscription.held.get(name);
  if (held?.version === version && !held.lost) return false;
  const refusal = subscription.refused.get(name);
  return refusal?.version !== version || refusal.again;
}

const settledBy = ({ kind }: Subscription, config: ProxyConfig): Settled => ({
  own: config[kind],
  clusters: config.cds,
});

const stands = ({ kind }: Subscription, config: ProxyConfig, settled: Settled | undefined) =>
  settled !== undefined && settled.own === config[kind] && (kind !== "eds" || settled.clusters === config.cds);

const nothing: readonly never[] = [];

/** Resources that the client should have and that were not sent in their current version. */
export function dueResources(subscription: Subscription, config: ProxyConfig): readonly EnvoyResource[] {
  if (stands(subscription, config, subscription.complete)) return nothing;
  const due: EnvoyResource[] = [];
  if (subscription.wildcard) {
    for (const resource of config[subscription.kind].values()) {
      if (differs(subscription, resource)) due.push(resource);
    }
  }
  for (const name of subscription.names) {
    if (subscription.wildcard && config[subscription.kind].has(name)) continue;
    const resource = wanted(subscription, config, name);
    if (resource !== undefined && differs(subscription, resource)) due.push(resource);
  }
  if (due.length === 0) subscription.complete = settledBy(subscription, config);
  return due;
}

/** Names that the client has or subscribed to, and that do not exist. */
export function dueRemovals(subscription: Subscription, config: ProxyConfig): readonly string[] {
  const { kind, held, names } = subscription;
  if (kind === "eds" || stands(subscription, config, subscription.clean)) return nothing;
  const gone: string[] = [];
  for (const [name, { version }] of held) {
    if (version !== absent.version && !config[kind].has(name)) gone.push(name);
  }
  for (const name of names) {
    if (!held.has(name) && !config[kind].has(name)) gone.push(name);
  }
  if (gone.length === 0) subscription.clean = settledBy(subscription, config);
  return gone;
}
