import type { Generated } from "../envoy/generate.js";
import { emptyConfig, type ProxyConfig } from "../envoy/resource.js";
import type { Logger } from "../lib/logger.js";
import type { Touched } from "../view/apply.js";
import type { MeshView, ProxyView, View } from "../view/mesh-view.js";
import type { Delivery } from "./delivery.js";
import { createIgnoredLog } from "./ignored-log.js";
import type { ProxyId } from "./node.js";
import type { Session } from "./session.js";
import { createSlices } from "./slices.js";

/** A stream as this index sees it. */
export interface Client extends Pick<Session, "configured" | "configure" | "resumed" | "delivery" | "deliveries"> {
  readonly id: ProxyId;
  /** When it began. */
  readonly since: Date;
  /** Where the proxy says its token is, on its own machine. */
  readonly tokenPath: string | undefined;
}

/** A stream as it is shown. */
export interface ProxyStream extends Pick<Client, "since" | "resumed"> {
  /** How a resource of the configuration that the proxy was given stands. */
  readonly delivery: Session["delivery"];
  /** How all resources stand, measured by what the proxy is to have by now. */
  deliveries(): readonly Delivery[];
}

/** Makes a proxy's configuration; undefined while that has to wait, and a change of its mesh follows. */
export type Generate = (proxy: ProxyView, mesh: MeshView, tokenPath: string | undefined) => Generated | undefined;

/** What a proxy's configuration was read from. */
type Sources = Pick<Generated, "services" | "offered">;

const noSources: Sources = { services: new Set(), offered: new Set() };

/** All streams of one proxy. */
interface Entry {
  readonly id: ProxyId;
  readonly clients: Set<Client>;
  sources: Sources;
}

/** Connected proxies, and who must hear of which change. */
export interface Proxies {
  join(client: Client): void;
  leave(client: Client): void;
  /** The connected proxies that `touched` concerns are configured anew from the present view, in slices. */
  update(mesh: string, touched: Touched): void;
  /** The streams of a proxy, the newest last; none when it isn't connected. */
  streams(id: ProxyId): readonly ProxyStream[];
}

/** No slice of work keeps the event loop longer than this. */
const sliceMs = 10;

const keyOf = ({ mesh, name }: ProxyId) => `${mesh}.${name}`;

interface Options {
  readonly view: () => View;
  readonly generate: Generate;
  readonly logger: Logger;
}

export function createProxies({ view, generate, logger }: Options): Proxies {
  const entries = new Map<string, Entry>();
  const byMesh = new Map<string, Set<Entry>>();
  const consumers = new Map<string, Set<Entry>>();
  const providers = new Map<string, Set<Entry>>();
  const noteIgnored = createIgnoredLog(logger);

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

  function reindex(table: Map<string, Set<Entry>>, entry: Entry, before: Iterable<string>, after: ReadonlySet<string>) {
    const { mesh } = entry.id;
    for (const service of before) if (!after.has(service)) unindex(table, serviceKey(mesh, service), entry);
    for (const service of after) index(table, serviceKey(mesh, service), entry);
  }

  function follow(entry: Entry, sources: Sources): void {
    reindex(consumers, entry, entry.sources.services, sources.services);
    reindex(providers, entry, entry.sources.offered, sources.offered);
    entry.sources = sources;
  }

  /** The entry's present configuration for clients with a token there; undefined: leave them as they are. */
  function configurationOf(entry: Entry, tokenPath: string | undefined): ProxyConfig | "gone" | undefined {
    const mesh = view().get(entry.id.mesh);
    const proxy = mesh?.proxies.get(entry.id.name);
    if (mesh === undefined || proxy === undefined) {
      follow(entry, noSources);
      return "gone";
    }
    if (mesh.mesh === undefined) {
      logger.error("mesh is missing; the dataplane keeps its last configuration", { ...entry.id });
      return undefined;
    }
    try {
      const generated = generate(proxy, mesh, tokenPath);
      if (generated === undefined) return undefined;
      follow(entry, generated);
      noteIgnored(generated.ignored);
      if (proxy.unusable.length > 0)
        logger.error("dataplane has unusable fields", { ...entry.id, fields: proxy.unusable });
      return generated.config;
    } catch (error) {
      logger.error("no configuration could be made; the dataplane keeps its last one", { ...entry.id, error });
      return undefined;
    }
  }

  function configure(entry: Entry, clients: Iterable<Client>): void {
    const made = new Map<string | undefined, ProxyConfig | "gone" | undefined>();
    for (const client of clients) {
      const { tokenPath } = client;
      if (!made.has(tokenPath)) made.set(tokenPath, configurationOf(entry, tokenPath));
      const config = made.get(tokenPath);
      if (config === undefined) continue;
      if (config !== "gone") client.configure(config);
      // A client that this stream never configured may hold what another control plane told it: an
      // unknown Dataplane is no reason to take that away.
      else if (client.configured) client.configure(emptyConfig);
    }
  }

  const updates = createSlices<Entry>(sliceMs, (entry) => configure(entry, entry.clients));

  function* concerned(mesh: string, touched: Touched): Generator<Entry> {
    if (touched.mesh) yield* byMesh.get(mesh) ?? [];
    for (const name of touched.proxies) {
      const entry = entries.get(keyOf({ mesh, name }));
      if (entry !== undefined) yield entry;
    }
    for (const service of touched.services) yield* consumers.get(serviceKey(mesh, service)) ?? [];
    for (const service of touched.offered) yield* providers.get(serviceKey(mesh, service)) ?? [];
  }

  return {
    join(client) {
      const key = keyOf(client.id);
      let entry = entries.get(key);
      if (entry === undefined) {
        entry = { id: client.id, clients: new Set(), sources: noSources };
        entries.set(key, entry);
        index(byMesh, client.id.mesh, entry);
      }
      entry.clients.add(client);
      configure(entry, [client]);
    },
    leave(client) {
      const entry = entries.get(keyOf(client.id));
      if (entry === undefined) return;
      entry.clients.delete(client);
      if (entry.clients.size > 0) return;
      follow(entry, noSources);
      entries.delete(keyOf(client.id));
      unindex(byMesh, client.id.mesh, entry);
      updates.delete(entry);
    },
    update: (mesh, touched) => updates.add(concerned(mesh, touched)),
    streams: (id) =>
      [...(entries.get(keyOf(id))?.clients ?? [])].map((client) => ({
        since: client.since,
        resumed: client.resumed,
        delivery: client.delivery,
        deliveries() {
          const mesh = view().get(id.mesh);
          const proxy = mesh?.proxies.get(id.name);
          if (mesh === undefined || proxy === undefined) return client.deliveries(emptyConfig);
          return client.deliveries(generate(proxy, mesh, client.tokenPath)?.config ?? emptyConfig);
        },
      })),
  };
}
