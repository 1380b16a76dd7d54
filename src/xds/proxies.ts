import type { Generated } from "../envoy/generate.js";
import { emptyConfig, type ProxyConfig } from "../envoy/resource.js";
import type { Logger } from "../lib/logger.js";
import type { Touched } from "../view/apply.js";
import type { MeshView, ProxyView, View } from "../view/mesh-view.js";
import type { ProxyId } from "./node.js";

/** A stream as this index sees it. */
export interface Client {
  readonly id: ProxyId;
  /** Whether it was ever given a configuration. */
  readonly configured: boolean;
  configure(config: ProxyConfig): void;
}

export type Generate = (proxy: ProxyView, mesh: MeshView) => Generated;

/** All streams of one proxy, and the services its configuration was read from. */
interface Entry {
  readonly id: ProxyId;
  readonly clients: Set<Client>;
  services: ReadonlySet<string>;
}

/** Connected proxies, and who must hear of which change. */
export interface Proxies {
  join(client: Client): void;
  leave(client: Client): void;
  /** Takes the present view; the connected proxies that `touched` concerns are configured anew, in slices. */
  update(view: View, mesh: string, touched: Touched): void;
}

/** No slice of work keeps the event loop longer than this. */
const sliceMs = 10;

const keyOf = ({ mesh, name }: ProxyId) => `${mesh}.${name}`;

export function createProxies(options: { readonly generate: Generate; readonly logger: Logger }): Proxies {
  const { generate, logger } = options;
  const entries = new Map<string, Entry>();
  const byMesh = new Map<string, Set<Entry>>();
  const consumers = new Map<string, Set<Entry>>();
  const waiting = new Set<Entry>();
  let view: View | undefined;
  let working = false;

  function index(table: Map<string, Set<Entry>>, key: string, entry: Entry): void {
    const entriesOfKey = table.get(key);
    if (entriesOfKey === undefined) table.set(key, new Set([entry]));
    else entriesOfKey.add(entry);
  }

  function unindex(table: Map<string, Set<Entry>>, key: string, entry: Entry): void {
    const entriesOfKey = table.get(key);
    entriesOfKey?.delete(entry);
    if (entriesOfKey?.size === 0) table.delete(key);
  }

  const serviceKey = (mesh: string, service: string) => `${mesh} ${service}`;

  function consume(entry: Entry, services: ReadonlySet<string>): void {
    const { mesh } = entry.id;
    for (const service of entry.services) {
      if (!services.has(service)) unindex(consumers, serviceKey(mesh, service), entry);
    }
    for (const service of services) index(consumers, serviceKey(mesh, service), entry);
    entry.services = services;
  }

  /** The entry's present configuration; undefined: leave its clients as they are. */
  function configurationOf(entry: Entry): ProxyConfig | "gone" | undefined {
    const mesh = view?.get(entry.id.mesh);
    const proxy = mesh?.proxies.get(entry.id.name);
    if (mesh === undefined || proxy === undefined) {
      consume(entry, new Set());
      return "gone";
    }
    if (mesh.mesh === undefined) {
      logger.error("mesh is missing; the dataplane keeps its last configuration", { ...entry.id });
      return undefined;
    }
    try {
      const generated = generate(proxy, mesh);
      consume(entry, generated.services);
      if (proxy.unusable.length > 0)
        logger.error("dataplane has unusable fields", { ...entry.id, fields: proxy.unusable });
      return generated.config;
    } catch (error) {
      logger.error("no configuration could be made; the dataplane keeps its last one", { ...entry.id, error });
      return undefined;
    }
  }

  function configure(entry: Entry, only?: Client): void {
    const config = configurationOf(entry);
    if (config === undefined) return;
    for (const client of only === undefined ? entry.clients : [only]) {
      if (config !== "gone") client.configure(config);
      // A client that this stream never configured may hold what another control plane told it: an
      // unknown Dataplane is no reason to take that away.
      else if (client.configured) client.configure(emptyConfig);
    }
  }

  function work(): void {
    const until = performance.now() + sliceMs;
    for (const entry of waiting) {
      waiting.delete(entry);
      configure(entry);
      if (performance.now() >= until) break;
    }
    working = waiting.size > 0;
    if (working) setImmediate(work);
  }

  return {
    join(client) {
      const key = keyOf(client.id);
      let entry = entries.get(key);
      if (entry === undefined) {
        entry = { id: client.id, clients: new Set(), services: new Set() };
        entries.set(key, entry);
        index(byMesh, client.id.mesh, entry);
      }
      entry.clients.add(client);
      configure(entry, client);
    },
    leave(client) {
      const entry = entries.get(keyOf(client.id));
      if (entry === undefined) return;
      entry.clients.delete(client);
      if (entry.clients.size > 0) return;
      consume(entry, new Set());
      entries.delete(keyOf(client.id));
      unindex(byMesh, client.id.mesh, entry);
      waiting.delete(entry);
    },
    update(next, mesh, touched) {
      view = next;
      const add = (entry: Entry) => waiting.add(entry);
      if (touched.mesh) byMesh.get(mesh)?.forEach(add);
      for (const name of touched.proxies) {
        const entry = entries.get(keyOf({ mesh, name }));
        if (entry !== undefined) add(entry);
      }
      for (const service of touched.services) consumers.get(serviceKey(mesh, service))?.forEach(add);
      if (!working && waiting.size > 0) work();
    },
  };
}
