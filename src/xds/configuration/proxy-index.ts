import type { Generated } from "../../envoy/generate.js";
import type { ProxyId } from "../node.js";

/** The services that a proxy's configuration depends on. */
export type Sources = Pick<Generated, "upstreams" | "inboundServices">;

export const noSources: Sources = { upstreams: new Set(), inboundServices: new Set() };

export interface Indexed {
  readonly id: ProxyId;
  sources: Sources;
}

/** Proxies by name, by mesh, and by the services that their configurations depend on. */
export interface ProxyIndex<E extends Indexed> {
  get(id: ProxyId): E | undefined;
  add(entry: E): void;
  delete(entry: E): void;
  /** Replaces the services that the entry is indexed by. */
  follow(entry: E, sources: Sources): void;
  ofMesh(mesh: string): Iterable<E>;
  consumers(mesh: string, service: string): Iterable<E>;
  providers(mesh: string, service: string): Iterable<E>;
}

type Table<E> = Map<string, Set<E>>;

function put<E>(table: Table<E>, key: string, entry: E): void {
  const entries = table.get(key);
  if (entries === undefined) table.set(key, new Set([entry]));
  else entries.add(entry);
}

function take<E>(table: Table<E>, key: string, entry: E): void {
  const entries = table.get(key);
  entries?.delete(entry);
  if (entries?.size === 0) table.delete(key);
}

const proxyKey = ({ mesh, name }: ProxyId) => `${mesh}.${name}`;
const serviceKey = (mesh: string, service: string) => `${mesh} ${service}`;

export function createProxyIndex<E extends Indexed>(): ProxyIndex<E> {
  const entries = new Map<string, E>();
  const byMesh: Table<E> = new Map();
  const consumers: Table<E> = new Map();
  const providers: Table<E> = new Map();

  function move(table: Table<E>, entry: E, before: ReadonlySet<string>, after: ReadonlySet<string>): void {
    const { mesh } = entry.id;
    for (const service of before) if (!after.has(service)) take(table, serviceKey(mesh, service), entry);
    for (const service of after) if (!before.has(service)) put(table, serviceKey(mesh, service), entry);
  }

  function follow(entry: E, sources: Sources): void {
    move(consumers, entry, entry.sources.upstreams, sources.upstreams);
    move(providers, entry, entry.sources.inboundServices, sources.inboundServices);
    entry.sources = sources;
  }

  return {
    get: (id) => entries.get(proxyKey(id)),
    add(entry) {
      entries.set(proxyKey(entry.id), entry);
      put(byMesh, entry.id.mesh, entry);
    },
    delete(entry) {
      follow(entry, noSources);
      entries.delete(proxyKey(entry.id));
      take(byMesh, entry.id.mesh, entry);
    },
    follow,
    ofMesh: (mesh) => byMesh.get(mesh) ?? [],
    consumers: (mesh, service) => consumers.get(serviceKey(mesh, service)) ?? [],
    providers: (mesh, service) => providers.get(serviceKey(mesh, service)) ?? [],
  };
}
