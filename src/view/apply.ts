import { Map as PersistentMap } from "immutable";
import type { Dataplane } from "../resources/dataplane.js";
import type { Mesh } from "../resources/mesh.js";
import type { Change, Key, Stored } from "../store/store.js";
import { createService, sameEndpoints } from "./endpoints.js";
import type { Endpoint, MeshView, View } from "./mesh-view.js";
import { offers, readProxy } from "./proxy.js";

/** What a change touched in one mesh: who must be looked at again, and nobody else. */
export interface Touched {
  /** The Mesh itself: every proxy of it. */
  mesh: boolean;
  /** Proxies whose own Dataplane changed, came or went. */
  readonly proxies: Set<string>;
  /** Services whose endpoints changed: every proxy that consumes them. */
  readonly services: Set<string>;
}

/** Collects what a run of changes touched, by mesh. */
export type TouchedMeshes = Map<string, Touched>;

export const emptyView: View = PersistentMap<string, MeshView>();

const emptyMesh = (name: string): MeshView => ({
  name,
  mesh: undefined,
  proxies: PersistentMap(),
  services: PersistentMap(),
});

function touch(touched: TouchedMeshes, mesh: string): Touched {
  let entry = touched.get(mesh);
  if (entry === undefined) {
    entry = { mesh: false, proxies: new Set(), services: new Set() };
    touched.set(mesh, entry);
  }
  return entry;
}

const isMesh = (stored: Stored): stored is Stored<Mesh> => stored.type === "Mesh";
const isDataplane = (stored: Stored): stored is Stored<Dataplane> => stored.type === "Dataplane";

/** Replaces a proxy's offers in the services of its mesh and notes the services whose endpoints differ. */
function replaceOffers(
  services: MeshView["services"],
  name: string,
  before: Map<string, Endpoint[]>,
  after: Map<string, Endpoint[]>,
  touched: Touched,
): MeshView["services"] {
  return services.withMutations((draft) => {
    for (const service of new Set([...before.keys(), ...after.keys()])) {
      const offered = after.get(service);
      if (sameEndpoints(before.get(service), offered)) continue;
      touched.services.add(service);
      const members = draft.get(service)?.members ?? PersistentMap<string, readonly Endpoint[]>();
      const changed = offered === undefined ? members.delete(name) : members.set(name, offered);
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
  const offered = (proxy: typeof before) => (proxy === undefined ? new Map<string, Endpoint[]>() : offers(proxy));
  const services = replaceOffers(view.services, name, offered(before), offered(after), touched);
  return { ...view, proxies, services };
}

function put(view: View, stored: Stored, touched: TouchedMeshes): View {
  const mesh = view.get(stored.mesh) ?? emptyMesh(stored.mesh);
  if (isMesh(stored)) {
    touch(touched, stored.mesh).mesh = true;
    return view.set(stored.mesh, { ...mesh, mesh: stored });
  }
  if (isDataplane(stored))
    return view.set(stored.mesh, withProxy(mesh, stored.name, stored, touch(touched, stored.mesh)));
  return view;
}

function remove(view: View, key: Key, touched: TouchedMeshes): View {
  const mesh = view.get(key.mesh);
  if (mesh === undefined) return view;
  let after = mesh;
  if (key.type === "Mesh") {
    touch(touched, key.mesh).mesh = true;
    after = { ...mesh, mesh: undefined };
  } else if (key.type === "Dataplane") {
    after = withProxy(mesh, key.name, undefined, touch(touched, key.mesh));
  }
  const bare = after.mesh === undefined && after.proxies.isEmpty();
  return bare ? view.delete(key.mesh) : view.set(key.mesh, after);
}

function replaceAll(view: View, resources: readonly Stored[], touched: TouchedMeshes): View {
  const listed = new Set(resources.map(({ type, mesh, name }) => `${type}\n${mesh}\n${name}`));
  let next = view;
  for (const { name: mesh, mesh: own, proxies } of view.values()) {
    for (const name of proxies.keys()) {
      if (!listed.has(`Dataplane\n${mesh}\n${name}`)) next = remove(next, { type: "Dataplane", mesh, name }, touched);
    }
    if (own !== undefined && !listed.has(`Mesh\n${mesh}\n${mesh}`)) {
      next = remove(next, { type: "Mesh", mesh, name: mesh }, touched);
    }
  }
  // Versions are not compared: a record deleted and made again while we were away may carry the same one.
  for (const stored of resources) next = put(next, stored, touched);
  return next;
}

/** The view after a change; what it touched is added to `touched`. */
export function apply(view: View, change: Change, touched: TouchedMeshes): View {
  switch (change.kind) {
    case "listing":
      return replaceAll(view, change.resources, touched);
    case "put":
      return put(view, change.resource, touched);
    case "delete":
      return remove(view, change.key, touched);
  }
}
