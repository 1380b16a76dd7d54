import { reassigned } from "../envoy/assignments.js";
import type { Generated } from "../envoy/generate.js";
import type { Placement } from "../envoy/placement.js";
import { emptyConfig, type ProxyConfig } from "../envoy/resource.js";
import type { Logger } from "../lib/logger.js";
import type { Touched } from "../view/apply.js";
import type { MeshView, ProxyView, View } from "../view/mesh-view.js";
import { unreachableInbounds } from "../view/proxy.js";
import type { Delivery } from "./delivery.js";
import { createIgnoredLog } from "./ignored-log.js";
import type { ProxyId } from "./node.js";
import { createProxyIndex, type Indexed, noSources } from "./proxy-index.js";
import type { Session } from "./session.js";
import { createSlices } from "./slices.js";

/** A stream as this index sees it. */
export interface Client extends Pick<Session, "configured" | "configure" | "resumed" | "delivery" | "deliveries"> {
  readonly id: ProxyId;
  /** When it began. */
  readonly since: Date;
  readonly placement: Placement;
}

/** A stream as it is shown. */
export interface ProxyStream extends Pick<Client, "since" | "resumed"> {
  /** How a resource of the configuration that the proxy was given stands. */
  readonly delivery: Session["delivery"];
  /** How all resources stand, measured by what the proxy is to have by now. */
  deliveries(): readonly Delivery[];
}

/**
 * Makes a proxy's configuration, which may share what still holds with the one that was made `before`; undefined while
 * that has to wait, and a change of its mesh follows.
 */
export type Generate = (
  proxy: ProxyView,
  mesh: MeshView,
  placement: Placement,
  before: Generated | undefined,
) => Generated | undefined;

/** All streams of one proxy. */
interface Entry extends Indexed {
  readonly clients: Set<Client>;
  /** What was made for it last, by the key of the placement. */
  readonly made: Map<string, Generated>;
  /** What waits to be done: to make it anew, or to look up the endpoints of these services. */
  due: "anew" | ReadonlySet<string> | undefined;
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

interface Options {
  readonly view: () => View;
  readonly generate: Generate;
  readonly logger: Logger;
}

export function createProxies({ view, generate, logger }: Options): Proxies {
  const index = createProxyIndex<Entry>();
  const noteIgnored = createIgnoredLog(logger);

  /** The entry's present configuration for clients of a placement; undefined: leave them as they are. */
  function configurationOf(entry: Entry, placement: Placement): ProxyConfig | "gone" | undefined {
    const mesh = view().get(entry.id.mesh);
    const proxy = mesh?.proxies.get(entry.id.name);
    if (mesh === undefined || proxy === undefined) {
      index.follow(entry, noSources);
      entry.made.clear();
      return "gone";
    }
    if (mesh.mesh === undefined) {
      logger.error("mesh is missing; the dataplane keeps its last configuration", { ...entry.id });
      return undefined;
    }
    try {
      const generated = generate(proxy, mesh, placement, entry.made.get(placement.key));
      if (generated === undefined) return undefined;
      index.follow(entry, generated);
      entry.made.set(placement.key, generated);
      noteIgnored(generated.ignored);
      if (proxy.unusable.length > 0)
        logger.error("dataplane has unusable fields", { ...entry.id, fields: proxy.unusable });
      const unreachable = unreachableInbounds(proxy).map(({ field }) => field);
      if (unreachable.length > 0) {
        logger.error("inbounds on 0.0.0.0 are left out: no other dataplane could connect to them", {
          ...entry.id,
          fields: unreachable,
        });
      }
      return generated.config;
    } catch (error) {
      logger.error("no configuration could be made; the dataplane keeps its last one", { ...entry.id, error });
      return undefined;
    }
  }

  function configure(entry: Entry, clients: Iterable<Client>): void {
    const made = new Map<string, ProxyConfig | "gone" | undefined>();
    for (const client of clients) {
      const { placement } = client;
      if (!made.has(placement.key)) made.set(placement.key, configurationOf(entry, placement));
      const config = made.get(placement.key);
      if (config === undefined) continue;
      if (config !== "gone") client.configure(config);
      // A client that this stream never configured may hold what another control plane told it: an
      // unknown Dataplane is no reason to take that away.
      else if (client.configured) client.configure(emptyConfig);
    }
  }

  /** Tells clients of other endpoints; all else that was made for them stays right. */
  function reassign(entry: Entry, services: ReadonlySet<string>): void {
    const mesh = view().get(entry.id.mesh);
    if (mesh === undefined) return;
    for (const [key, made] of entry.made) {
      // Of two streams the newer one may have been told before: each knows what it lacks.
      const config = reassigned(made.config, made.assignments, mesh, services);
      entry.made.set(key, { ...made, config });
      for (const client of entry.clients) if (client.placement.key === key) client.configure(config);
    }
  }

  const updates = createSlices<Entry>(sliceMs, (entry) => {
    const { due } = entry;
    entry.due = undefined;
    if (due === "anew") configure(entry, entry.clients);
    else if (due !== undefined) reassign(entry, due);
  });

  function* madeAnew(mesh: string, touched: Touched): Generator<Entry> {
    if (touched.mesh || touched.everyone) yield* index.ofMesh(mesh);
    for (const name of touched.proxies) {
      const entry = index.get({ mesh, name });
      if (entry !== undefined) yield entry;
    }
    for (const service of touched.services) yield* index.consumers(mesh, service);
    for (const service of touched.offered) yield* index.providers(mesh, service);
  }

  function* concerned(mesh: string, touched: Touched): Generator<Entry> {
    for (const entry of madeAnew(mesh, touched)) {
      entry.due = "anew";
      yield entry;
    }
    const { endpoints } = touched;
    for (const service of endpoints) {
      for (const entry of index.consumers(mesh, service)) {
        const { due } = entry;
        if (due === undefined) entry.due = endpoints;
        else if (due !== "anew" && due !== endpoints) entry.due = new Set([...due, ...endpoints]);
        yield entry;
      }
    }
  }

  return {
    join(client) {
      let entry = index.get(client.id);
      if (entry === undefined) {
        entry = { id: client.id, clients: new Set(), sources: noSources, made: new Map(), due: undefined };
        index.add(entry);
      }
      entry.clients.add(client);
      configure(entry, [client]);
    },
    leave(client) {
      const entry = index.get(client.id);
      if (entry === undefined) return;
      entry.clients.delete(client);
      if (entry.clients.size > 0) return;
      index.delete(entry);
      updates.delete(entry);
    },
    update: (mesh, touched) => updates.add(concerned(mesh, touched)),
    streams: (id) =>
      [...(index.get(id)?.clients ?? [])].map((client) => ({
        since: client.since,
        resumed: client.resumed,
        delivery: client.delivery,
        deliveries() {
          const mesh = view().get(id.mesh);
          const proxy = mesh?.proxies.get(id.name);
          if (mesh === undefined || proxy === undefined) return client.deliveries(emptyConfig);
          const { placement } = client;
          // While the newest has to wait, what the proxy was given last still counts.
          const generated = generate(proxy, mesh, placement, undefined) ?? index.get(id)?.made.get(placement.key);
          return client.deliveries(generated?.config ?? emptyConfig);
        },
      })),
  };
}
