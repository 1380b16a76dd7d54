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

/** A stream as this index sees it. */
export interface Client
  extends Pick<Session, "configured" | "configure" | "resumed" | "delivery" | "deliveries" | "compareListeners"> {
  readonly id: ProxyId;
  /** When it began. */
  readonly since: Date;
  readonly placement: Placement;
  /** Sends again what it refused for a reason that may pass. */
  retry(): void;
}

/** A stream as it is shown. */
export interface ProxyStream extends Pick<Client, "since" | "resumed" | "placement"> {
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

/** The streams of one proxy that say the same of it, and what was made for them last. */
interface Group {
  readonly placement: Placement;
  readonly clients: Set<Client>;
  made: Generated | undefined;
}

/** All streams of one proxy. */
interface Entry extends Indexed {
  readonly clients: Set<Client>;
  /** By the placement's key; each has clients. */
  readonly groups: Map<string, Group>;
  /** What waits to be done: to make it anew, or to look up the endpoints of these services. */
  due: "anew" | ReadonlySet<string> | undefined;
  /** Its Dataplane was applied, changed or not. */
  applied: boolean;
}

/** A connected proxy whose Dataplane does not exist. */
export interface Unregistered {
  readonly id: ProxyId;
  /** When the oldest of its streams began. */
  readonly since: Date;
}

/** Connected proxies, and who must hear of which change. */
export interface Proxies {
  /**
   * Lets a stream of this proxy join that says this of the proxy. For each placement a configuration is kept, so
   * that a proxy has few of them at a time.
   * @throws LimitExceeded when it has
   */
  admit(id: ProxyId, placement: Placement): void;
  join(client: Client): void;
  leave(client: Client): void;
  /** The connected proxies that `touched` concerns are configured anew from the present view, in slices. */
  update(mesh: string, touched: Touched): void;
  /** The streams of a proxy, the newest last; none when it isn't connected. */
  streams(id: ProxyId): readonly ProxyStream[];
  /** Connected proxies whose Dataplane does not exist. */
  unregistered(): readonly Unregistered[];
  /**
   * Takes note of the listeners that a proxy's Envoy has, by name. Which of its streams is that Envoy's can't be told: what
   * another one has is sent to it again, and changes nothing there. Undefined when the proxy isn't connected.
   */
  compareListeners(
    id: ProxyId,
    present: ReadonlySet<string>,
  ): Pick<ListenerComparison, "missing" | "pending"> | undefined;
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
  const unregistered = new Set<Entry>();

  function noteProblems(id: ProxyId, proxy: ProxyView): void {
    if (proxy.unusable.length > 0) logger.error("dataplane has unusable fields", { ...id, fields: proxy.unusable });
    const fields = unreachableInbounds(proxy).map(({ field }) => field);
    if (fields.length === 0) return;
    logger.error("inbounds on 0.0.0.0 are left out: no other dataplane could connect to them", { ...id, fields });
  }

  /** The entry's present configuration for the clients of a group; undefined: leave them as they are. */
  function configurationOf(entry: Entry, group: Group): ProxyConfig | "gone" | undefined {
    const mesh = view().get(entry.id.mesh);
    const proxy = mesh?.proxies.get(entry.id.name);
    if (mesh === undefined || proxy === undefined) {
      index.follow(entry, noSources);
      for (const one of entry.groups.values()) one.made = undefined;
      return "gone";
    }
    if (mesh.resource === undefined) {
      logger.error("mesh is missing; the dataplane keeps its last configuration", { ...entry.id });
      return undefined;
    }
    try {
      const before = group.made;
      const generated = generate(proxy, mesh, group.placement, before);
      if (generated === undefined) return undefined;
      // Not all of it: its group may go while the entry stays.
      const { services, offered } = generated;
      index.follow(entry, { services, offered });
      group.made = generated;
      noteIgnored(generated.ignored);
      if (before?.basis.proxy !== proxy) noteProblems(entry.id, proxy);
      return generated.config;
    } catch (error) {
      logger.error("no configuration could be made; the dataplane keeps its last one", { ...entry.id, error });
      return undefined;
    }
  }

  /** Keeps in mind, and says, whether a proxy has a Dataplane. */
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
      // A client that this stream never configured may hold what another control plane told it: an
      // unknown Dataplane is no reason to take that away.
      else if (client.configured) client.configure(emptyConfig);
    }
  }

  /** Tells clients of other endpoints; all else that was made for them stays right. */
  function reassign(entry: Entry, services: ReadonlySet<string>): void {
    const mesh = view().get(entry.id.mesh);
    if (mesh === undefined) return;
    for (const group of entry.groups.values()) {
      const { made } = group;
      if (made === undefined) continue;
      // Of two streams the newer one may have been told before: each knows what it lacks.
      const config = reassigned(made.config, made.assignments, mesh, services);
      group.made = { ...made, config };
      for (const client of group.clients) client.configure(config);
    }
  }

  const updates = createSlices<Entry>(sliceMs, (entry) => {
    const { due, applied } = entry;
    entry.due = undefined;
    entry.applied = false;
    if (due === "anew") for (const group of entry.groups.values()) configure(entry, group, group.clients);
    else if (due !== undefined) reassign(entry, due);
    if (applied) for (const client of entry.clients) client.retry();
  });

  function* madeAnew(mesh: string, touched: Touched): Generator<Entry> {
    if (touched.mesh || touched.everyone) yield* index.ofMesh(mesh);
    for (const name of touched.proxies) {
      const entry = index.get({ mesh, name });
      if (entry === undefined) continue;
      entry.applied = true;
      yield entry;
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
      const group = entry.groups.get(placement.key) ?? { placement, clients: new Set(), made: undefined };
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
          // While the newest has to wait, what the proxy was given last still counts.
          const generated =
            generate(proxy, mesh, placement, undefined) ?? index.get(id)?.groups.get(placement.key)?.made;
          return client.deliveries(generated?.config ?? emptyConfig);
        },
      })),
  };
}
