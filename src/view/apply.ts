import { Map as PersistentMap } from "immutable";
import { own } from "../lib/own.js";
import type { Dataplane } from "../resources/dataplane.js";
import type { DataplaneHealth } from "../resources/dataplane-health.js";
import type { Mesh } from "../resources/mesh.js";
import { mtlsEnabled } from "../resources/mesh.js";
import { authorityName, type Secret } from "../resources/secret.js";
import type { Change, Key, Stored } from "../store/store.js";
import { createService, sameEndpoints } from "./endpoints.js";
import type { Endpoint, MeshView, View } from "./mesh-view.js";
import { anyService, noPolicies, type Policies, type PolicyTable, replacePolicy } from "./policies.js";
import { endpointsOf, readProxy } from "./proxy.js";

/** What a change affected in one mesh: exactly the proxies and secrets that must be updated. */
export interface Touched {
  /** The Mesh itself changed: affects every proxy and its secrets. */
  mesh: boolean;
  /** A policy that matches any service changed: affects every proxy, but no secrets. */
  everyone: boolean;
  /** The certificate authority changed: affects all secrets, but no listener or cluster. */
  authority: boolean;
  /** Proxies whose Dataplane was created, changed or deleted. */
  readonly proxies: Set<string>;
  /** Services whose endpoints changed: affects only the assignments of the proxies that have them as upstreams. */
  readonly endpoints: Set<string>;
  /** Services whose outbound policies changed: affects every proxy that has them as upstreams. */
  readonly upstreams: Set<string>;
  /** Services whose inbound policies changed: affects every proxy with an inbound of them. */
  readonly inboundServices: Set<string>;
}

/** What a series of changes touched, by mesh. */
export type TouchedMeshes = Map<string, Touched>;

export const emptyView: View = PersistentMap<string, MeshView>();

const emptyMesh = (name: string, policies: Policies): MeshView => ({
  name,
  resource: undefined,
  proxies: PersistentMap(),
  services: PersistentMap(),
  policies,
  down: PersistentMap(),
  authority: undefined,
});

/** A record with nothing touched. */
export const untouched = (): Touched => ({
  mesh: false,
  everyone: false,
  authority: false,
  proxies: new Set(),
  endpoints: new Set(),
  upstreams: new Set(),
  inboundServices: new Set(),
});

function touch(touched: TouchedMeshes, mesh: string): Touched {
  let entry = touched.get(mesh);
  if (entry === undefined) {
    entry = untouched();
    touched.set(mesh, entry);
  }
  return entry;
}

/** Replaces a proxy's endpoints in the services of its mesh and records the services whose endpoints changed. */
function replaceEndpoints(
  services: MeshView["services"],
  name: string,
  before: Map<string, Endpoint[]>,
  after: Map<string, Endpoint[]>,
  touched: Touched,
): MeshView["services"] {
  return services.withMutations((draft) => {
    for (const service of new Set([...before.keys(), ...after.keys()])) {
      const endpoints = after.get(service);
      if (sameEndpoints(before.get(service), endpoints)) continue;
      touched.endpoints.add(service);
      const members = draft.get(service)?.members ?? PersistentMap<string, readonly Endpoint[]>();
      const changed = endpoints === undefined ? members.delete(name) : members.set(name, endpoints);
      if (changed.isEmpty()) draft.delete(service);
      else draft.set(service, createService(changed));
    }
  });
}

function withProxy(view: MeshView, name: string, stored: Stored<Dataplane> | undefined, touched: Touched): MeshView {
  const before = view.proxies.get(name);
  const after = stored === undefined ? undefined : readProxy(stored);
  if (before === undefined && after === undefined) return view;
  touched.proxies.add(name);
  const proxies = after === undefined ? view.proxies.delete(name) : view.proxies.set(name, after);
  const down = view.down.get(name);
  const endpoints = (of: typeof before) => (of === undefined ? new Map<string, Endpoint[]>() : endpointsOf(of, down));
  const services = replaceEndpoints(view.services, name, endpoints(before), endpoints(after), touched);
  return { ...view, proxies, services };
}

function withHealth(
  view: MeshView,
  name: string,
  stored: Stored<DataplaneHealth> | undefined,
  touched: () => Touched,
): MeshView {
  const before = view.down.get(name);
  const ports = new Set(stored?.spec.down ?? []);
  if (before === undefined && ports.size === 0) return view;
  const down = ports.size === 0 ? view.down.delete(name) : view.down.set(name, ports);
  const proxy = view.proxies.get(name);
  if (proxy === undefined) return { ...view, down };
  const services = replaceEndpoints(
    view.services,
    name,
    endpointsOf(proxy, before),
    endpointsOf(proxy, ports),
    touched(),
  );
  return { ...view, down, services };
}

function withPolicy(
  view: MeshView,
  table: PolicyTable,
  name: string,
  stored: Stored | undefined,
  touched: Touched,
): MeshView {
  const change = replacePolicy(view.policies, table, name, stored);
  if (change === undefined) return view;
  // While mTLS is off, such a policy has no effect; enabling mTLS touches the Mesh and therefore every proxy.
  if (table.type.policy.needsMtls !== true || mtlsEnabled(view.resource?.spec)) {
    const concerned = change.side === "inbound" ? touched.inboundServices : touched.upstreams;
    for (const service of change.services) {
      if (service === anyService) touched.everyone = true;
      else concerned.add(service);
    }
  }
  return { ...view, policies: change.policies };
}

const isAuthority = ({ type, mesh, name }: Key) => type === "Secret" && name === authorityName(mesh);

/**
 * Replaces one resource in a mesh's view, or deletes it if `stored` is undefined. Irrelevant types return the same
 * view.
 */
function replace(view: MeshView, key: Key, stored: Stored | undefined, touched: () => Touched): MeshView {
  const { type, name } = key;
  if (type === "Mesh") {
    if (stored === undefined && view.resource === undefined) return view;
    touched().mesh = true;
    return { ...view, resource: stored as Stored<Mesh> | undefined };
  }
  if (type === "Dataplane") return withProxy(view, name, stored as Stored<Dataplane> | undefined, touched());
  if (type === "DataplaneHealth") return withHealth(view, name, stored as Stored<DataplaneHealth> | undefined, touched);
  const table = own(view.policies, type);
  if (table !== undefined) return withPolicy(view, table, name, stored, touched());
  if (!isAuthority(key) || (stored === undefined && view.authority === undefined)) return view;
  touched().authority = true;
  return { ...view, authority: stored as Stored<Secret> | undefined };
}

const isBare = ({ resource: mesh, proxies, policies, down, authority }: MeshView) =>
  mesh === undefined &&
  down.isEmpty() &&
  authority === undefined &&
  proxies.isEmpty() &&
  Object.values(policies).every(({ byName }) => byName.isEmpty());

function put(view: View, stored: Stored, touched: TouchedMeshes, none: Policies): View {
  const mesh = view.get(stored.mesh) ?? emptyMesh(stored.mesh, none);
  const after = replace(mesh, stored, stored, () => touch(touched, stored.mesh));
  return after === mesh ? view : view.set(stored.mesh, after);
}

function remove(view: View, key: Key, touched: TouchedMeshes): View {
  const mesh = view.get(key.mesh);
  if (mesh === undefined) return view;
  const after = replace(mesh, key, undefined, () => touch(touched, key.mesh));
  return isBare(after) ? view.delete(key.mesh) : view.set(key.mesh, after);
}

/** The keys of all resources in a mesh's view. */
function* keysOf({ name: mesh, resource: own, proxies, policies, down, authority }: MeshView): Generator<Key> {
  for (const name of down.keys()) yield { type: "DataplaneHealth", mesh, name };
  for (const name of proxies.keys()) yield { type: "Dataplane", mesh, name };
  for (const [type, { byName }] of Object.entries(policies))
    for (const name of byName.keys()) yield { type, mesh, name };
  if (authority !== undefined) yield { type: "Secret", mesh, name: authority.name };
  if (own !== undefined) yield { type: "Mesh", mesh, name: mesh };
}

function replaceAll(view: View, resources: readonly Stored[], touched: TouchedMeshes, none: Policies): View {
  const text = ({ type, mesh, name }: Key) => `${type}\n${mesh}\n${name}`;
  const listed = new Set(resources.map(text));
  let next = view;
  for (const mesh of view.values()) {
    for (const key of keysOf(mesh)) if (!listed.has(text(key))) next = remove(next, key, touched);
  }
  // Versions are not compared: a record that was deleted and created again while disconnected may have the same one.
  for (const stored of resources) next = put(next, stored, touched, none);
  return next;
}

/**
 * Applies a change to the view, and adds what it touched to `touched`.
 * @param none the policy tables of an empty mesh, which determine the policy types
 */
export function apply(view: View, change: Change, touched: TouchedMeshes, none = noPolicies): View {
  switch (change.kind) {
    case "listing":
      return replaceAll(view, change.resources, touched, none);
    case "put":
      return put(view, change.resource, touched, none);
    case "delete":
      return remove(view, change.key, touched);
  }
}
