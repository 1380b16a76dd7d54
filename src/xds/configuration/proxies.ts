import { reassigned } from "../../envoy/assignments.js";
import type { Generated } from "../../envoy/generate.js";
import type { Placement } from "../../envoy/placement.js";
import { emptyConfig, type ProxyConfig } from "../../envoy/resource.js";
import type { Logger } from "../../lib/logger.js";
import { callError } from "../../net/grpc-status.js";
import type { Touched } from "../../view/apply.js";
import type { MeshView, ProxyView, View } from "../../view/mesh-view.js";
import { unreachableInbounds } from "../../view/proxy.js";
import { LimitExceeded, xdsLimits } from "../limits.js";
import type { ProxyId } from "../node.js";
import { createSlices } from "../slices.js";
import type { Delivery } from "./delivery.js";
import { createIgnoredLog } from "./ignored-log.js";
import type { ListenerComparison } from "./lost-listeners.js";
import { createProxyIndex, type Indexed, noSources } from "./proxy-index.js";
import type { Session } from "./session.js";

/** A stream of a proxy. */
export interface Client
  extends Pick<Session, "configured" | "configure" | "resumed" | "delivery" | "deliveries" | "compareListeners"> {
  readonly id: ProxyId;
  /** When the stream was opened. */
  readonly since: Date;
  readonly placement: Placement;
  /** Sends again the resources that it rejected for a transient reason. */
  retry(): void;
}

/** A stream as the API and `explain` show it. */
export interface ProxyStream extends Pick<Client, "since" | "resumed" | "placement"> {
  /** The delivery of one resource, compared with the configuration that the stream has. */
  readonly delivery: Session["delivery"];
  /** The deliveries of all resources, compared with the proxy's newest configuration. */
  deliveries(): readonly Delivery[];
}

/**
 * Generates a proxy's configuration, which may share unchanged parts with `before`, the previous one. Undefined when
 * it cannot be generated yet; a change of the mesh will trigger it again.
 */
export type Generate = (
  proxy: ProxyView,
  mesh: MeshView,
  placement: Placement,
  before: Generated | undefined,
) => Generated | undefined;

/** The streams of one proxy that share a placement, and the configuration generated for them last. */
interface Group {
  readonly placement: Placement;
  readonly clients: Set<Client>;
  generated: Generated | undefined;
}

/** All streams of one proxy. */
interface Entry extends Indexed {
  readonly clients: Set<Client>;
  /** By the placement's key. A group without clients is deleted. */
  readonly groups: Map<string, Group>;
  /** The pending work: to regenerate the configuration, or only to update the endpoints of these services. */
  due: "regenerate" | ReadonlySet<string> | undefined;
  /** Its Dataplane was applied, with or without a change. */
  applied: boolean;
}

/** A connected proxy whose Dataplane does not exist. */
export interface Unregistered {
  readonly id: ProxyId;
  /** When the oldest of its streams was opened. */
  readonly since: Date;
}

/** The connected proxies; decides which of them a change concerns. */
export interface Proxies {
  /**
   * Checks whether a stream of this proxy with this placement may join. A configuration is kept per placement, so a
   * proxy may only have a few placements at a time.
   * @throws LimitExceeded when the proxy already has that many others
   */
  admit(id: ProxyId, placement: Placement): void;
  join(client: Client): void;
  leave(client: Client): void;
  /** Reconfigures the connected proxies that `touched` concerns from the current view, in slices. */
  update(mesh: string, touched: Touched): void;
  /** The streams of a proxy, the newest last; empty when it isn't connected. */
  streams(id: ProxyId): readonly ProxyStream[];
  /** Connected proxies whose Dataplane does not exist. */
  unregistered(): readonly Unregistered[];
  /**
   * Compares the listeners that a proxy's Envoy reports, by name, with those that it acknowledged. If the proxy has
   * several streams, it is unknown which of them is that Envoy's: another Envoy may be sent listeners that it has,
   * which changes nothing there. Undefined when the proxy isn't connected.
   */
  compareListeners(
    id: ProxyId,
    present: ReadonlySet<string>,
  ): Pick<ListenerComparison, "missing" | "pending"> | undefined;
}

/** The longest time that a slice of work may block the event loop. */
const sliceMs = 10;

interface Options {
  readonly view: () => View;
  readonly generate: Generate;
  readonly logger: Logger;
}

export function createProxies({ view, generate, logger }: Options): Proxies {
  const index = createProxyIndex<Entry>();
  const noteIgnored = createIgnoredLog(logger);
  const unregistered = new Set<Entry>();

  function noteProblems(id: ProxyId, proxy: ProxyView): void {
    if (proxy.unusable.length > 0) logger.error("dataplane has unusable fields", { ...id, fields: proxy.unusable });
    const fields = unreachableInbounds(proxy).map(({ field }) => field);
    if (fields.length === 0) return;
    logger.error("inbounds on 0.0.0.0 are left out: no other dataplane could connect to them", { ...id, fields });
  }

  /** Generates the current configuration for the clients of a group; undefined: they keep the one they have. */
  function configurationOf(entry: Entry, group: Group): ProxyConfig | "gone" | undefined {
    const mesh = view().get(entry.id.mesh);
    const proxy = mesh?.proxies.get(entry.id.name);
    if (mesh === undefined || proxy === undefined) {
      index.follow(entry, noSources);
      for (const one of entry.groups.values()) one.generated = undefined;
      return "gone";
    }
    if (mesh.resource === undefined) {
      logger.error("mesh is missing; the dataplane keeps its last configuration", { ...entry.id });
      return undefined;
    }
    try {
      const before = group.generated;
      const generated = generate(proxy, mesh, group.placement, before);
      if (generated === undefined) return undefined;
      // Copied, so that the entry does not keep the whole configuration of a group that may be deleted before it.
      const { upstreams, inboundServices } = generated;
      index.follow(entry, { upstreams, inboundServices });
      group.generated = generated;
      noteIgnored(generated.ignored);
      if (before?.basis.proxy !== proxy) noteProblems(entry.id, proxy);
      return generated.config;
    } catch (error) {
      logger.error("no configuration could be generated; the dataplane keeps its last one", { ...entry.id, error });
      return undefined;
    }
  }

  /** Records and logs whether a proxy has a Dataplane. */
  function noteRegistration(entry: Entry, gone: boolean): void {
    if (gone === unregistered.has(entry)) return;
    if (!gone) {
      unregistered.delete(entry);
      logger.info("the Dataplane of a connected proxy exists again", { ...entry.id });
      return;
    }
    unregistered.add(entry);
    const served = [...entry.clients].some(({ configured }) => configured);
    logger.error(
      served
        ? "the Dataplane of a connected proxy is gone: its listeners and clusters are removed"
        : "a proxy is connected whose Dataplane does not exist: it keeps what it had, and no other proxy is sent there",
      { ...entry.id },
    );
  }

  function configure(entry: Entry, group: Group, clients: Iterable<Client>): void {
    const config = configurationOf(entry, group);
    if (config === undefined) return;
    noteRegistration(entry, config === "gone");
    for (const client of clients) {
      if (config !== "gone") client.configure(config);
      // A client that this stream never configured may have its configuration from another control plane: an
      // unknown Dataplane is no reason to remove that.
      else if (client.configured) client.configure(emptyConfig);
    }
  }

  /** Sends clients the changed endpoints; the rest of their configuration is still valid. */
  function reassign(entry: Entry, services: ReadonlySet<string>): void {
    const mesh = view().get(entry.id.mesh);
    if (mesh === undefined) return;
    for (const group of entry.groups.values()) {
      const { generated } = group;
      if (generated === undefined) continue;
      // The newer of two streams may already have these endpoints; each session sends only what its client lacks.
      const config = reassigned(generated.config, generated.assignments, mesh, services);
      group.generated = { ...generated, config };
      for (const client of group.clients) client.configure(config);
    }
  }

  const updates = createSlices<Entry>(sliceMs, (entry) => {
    const { due, applied } = entry;
    entry.due = undefined;
    entry.applied = false;
    if (due === "regenerate") for (const group of entry.groups.values()) configure(entry, group, group.clients);
    else if (due !== undefined) reassign(entry, due);
    if (applied) for (const client of entry.clients) client.retry();
  });

  function* toRegenerate(mesh: string, touched: Touched): Generator<Entry> {
    if (touched.mesh || touched.everyone) yield* index.ofMesh(mesh);
    for (const name of touched.proxies) {
      const entry = index.get({ mesh, name });
      if (entry === undefined) continue;
      entry.applied = true;
      yield entry;
    }
    for (const service of touched.upstreams) yield* index.consumers(mesh, service);
    for (const service of touched.inboundServices) yield* index.providers(mesh, service);
  }

  function* concerned(mesh: string, touched: Touched): Generator<Entry> {
    for (const entry of toRegenerate(mesh, touched)) {
      entry.due = "regenerate";
      yield entry;
    }
    const { endpoints } = touched;
    for (const service of endpoints) {
      for (const entry of index.consumers(mesh, service)) {
        const { due } = entry;
        if (due === undefined) entry.due = endpoints;
        else if (due !== "regenerate" && due !== endpoints) entry.due = new Set([...due, ...endpoints]);
        yield entry;
      }
    }
  }

  return {
    admit(id, placement) {
      const groups = index.get(id)?.groups;
      const most = xdsLimits.placements.value;
      if (groups === undefined || groups.has(placement.key) || groups.size < most) return;
      throw new LimitExceeded("placements", callError("xds.placements", { proxy: `${id.mesh}.${id.name}`, most }));
    },
    join(client) {
      let entry = index.get(client.id);
      if (entry === undefined) {
        entry = {
          id: client.id,
          clients: new Set(),
          sources: noSources,
          groups: new Map(),
          due: undefined,
          applied: false,
        };
        index.add(entry);
      }
      const { placement } = client;
      const group = entry.groups.get(placement.key) ?? { placement, clients: new Set(), generated: undefined };
      entry.groups.set(placement.key, group);
      entry.clients.add(client);
      group.clients.add(client);
      configure(entry, group, [client]);
    },
    leave(client) {
      const entry = index.get(client.id);
      if (entry === undefined) return;
      entry.clients.delete(client);
      const group = entry.groups.get(client.placement.key);
      group?.clients.delete(client);
      if (group?.clients.size === 0) entry.groups.delete(client.placement.key);
      if (entry.clients.size > 0) return;
      index.delete(entry);
      updates.delete(entry);
      unregistered.delete(entry);
    },
    update: (mesh, touched) => updates.add(concerned(mesh, touched)),
    unregistered: () =>
      [...unregistered].map(({ id, clients }) => {
        const times = [...clients].map(({ since }) => since.getTime());
        return { id, since: new Date(Math.min(...times)) };
      }),
    compareListeners(id, present) {
      const entry = index.get(id);
      if (entry === undefined) return undefined;
      const all = [...entry.clients].map((client) => client.compareListeners(present));
      return {
        missing: [...new Set(all.flatMap(({ missing }) => missing))],
        pending: all.some(({ pending }) => pending),
      };
    },
    streams: (id) =>
      [...(index.get(id)?.clients ?? [])].map((client) => ({
        since: client.since,
        resumed: client.resumed,
        placement: client.placement,
        delivery: client.delivery,
        deliveries() {
          const mesh = view().get(id.mesh);
          const proxy = mesh?.proxies.get(id.name);
          if (mesh === undefined || proxy === undefined) return client.deliveries(emptyConfig);
          const { placement } = client;
          // When the newest cannot be generated yet, the one that the proxy has is the reference.
          const generated =
            generate(proxy, mesh, placement, undefined) ?? index.get(id)?.groups.get(placement.key)?.generated;
          return client.deliveries(generated?.config ?? emptyConfig);
        },
      })),
  };
}
