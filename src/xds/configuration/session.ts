import {
  type EnvoyResource,
  edsNamesOf,
  kinds,
  type ProxyConfig,
  typeUrls,
  type XdsKind,
} from "../../envoy/resource.js";
import { callError } from "../../net/grpc-status.js";
import { LimitExceeded, xdsLimits } from "../limits.js";
import { contentHash, type Response } from "../response.js";
import { type Delivery, deliveriesOf, deliveryOf } from "./delivery.js";
import { dueRemovals, dueResources } from "./due.js";
import { type ListenerComparison, noteLost } from "./lost-listeners.js";
import { mayPass } from "./passing-refusal.js";
import {
  createSubscription,
  forget,
  markForResend,
  noteAcknowledged,
  noteRefused,
  noteSent,
  retryRefused,
  type Subscription,
  unsettle,
} from "./subscription.js";

/** A discovery request, in either protocol. */
export interface Request {
  readonly kind: XdsKind;
  /** Nonce of the response that this acknowledges or rejects; empty when it does neither. */
  readonly nonce: string;
  /** The client's error message when it rejects, truncated to a bounded length. */
  readonly refusal: string | undefined;
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** `initial_resource_versions`: what the client has from an earlier stream. */
  readonly initialVersions: ReadonlyMap<string, string>;
}

export interface SessionEvents {
  send(response: Response): void;
  acknowledged(kind: XdsKind): void;
  /** `repeated`: the client had rejected the same version before. */
  refused(kind: XdsKind, reason: string, repeated: boolean): void;
}

/**
 * The state of one discovery stream: subscriptions, what was sent, acknowledged and rejected, and what is due.
 * It is independent of the wire format, the clock and the store. `configure` and `request` may be called in any
 * order; each sends immediately whatever has become due.
 */
export interface Session {
  /** @throws LimitExceeded when the client exceeds a limit; the stream must then be closed */
  request(request: Request): void;
  /** Sets the proxy's current configuration. No response is sent before the first call. */
  configure(config: ProxyConfig): void;
  readonly configured: boolean;
  /** Whether the client has resources from an earlier stream; false for an Envoy that has just started. */
  readonly resumed: boolean;
  /** The resources of the current configuration that the client rejects; the same array until they change. */
  refusals(): readonly RefusedResource[];
  /** Whether the client may accept any of them later in the same version, for example when a port becomes free. */
  retriable(): boolean;
  /** Sends those resources once more. */
  retry(): void;
  /**
   * Compares the listeners that the client reports, by name, with those that it acknowledged. Acknowledged listeners
   * that it lost count as rejected for a transient reason; nothing is sent before `retry`.
   */
  compareListeners(present: ReadonlySet<string>): ListenerComparison;
  /** The delivery of one resource of its configuration; undefined when there is none by that name. */
  delivery(kind: XdsKind, name: string): Delivery | undefined;
  /** The deliveries of all resources, compared with `config`, which it may not have been configured with yet. */
  deliveries(config: ProxyConfig): readonly Delivery[];
}

/** A resource that a client rejects, with the client's error message. */
export interface RefusedResource {
  readonly kind: XdsKind;
  readonly name: string;
  readonly reason: string;
}

const nothingRefused: readonly RefusedResource[] = [];

const wildcardKinds: ReadonlySet<XdsKind> = new Set(["cds", "lds"]);

/** The resources of the next response: all generated ones together, a raw one always by itself. */
function nextBatch(due: readonly EnvoyResource[]): readonly EnvoyResource[] {
  const generated = due.filter((resource) => !resource.raw);
  return generated.length > 0 ? generated : due.slice(0, 1);
}

function tooManyNames({ kind }: Subscription, most: number): LimitExceeded {
  return new LimitExceeded("names", callError("xds.names", { most, type: typeUrls[kind] }));
}

export function createSession(events: SessionEvents): Session {
  const subscriptions = new Map<XdsKind, Subscription>(kinds.map((kind) => [kind, createSubscription(kind)]));
  const of = (kind: XdsKind) => subscriptions.get(kind) as Subscription;
  let config: ProxyConfig | undefined;
  let refusedLast = nothingRefused;
  let resumed = false;

  function send(subscription: Subscription, resources: readonly EnvoyResource[], removed: readonly string[]): void {
    const { kind } = subscription;
    const response = { kind, resources, removed, nonce: subscription.nonce(contentHash(kind, resources, removed)) };
    noteSent(subscription, response);
    subscription.answered = true;
    if (kind === "cds") {
      // In delta, Envoy does not request the assignment of a cluster that it re-creates, because its subscription
      // to the name never ended. Unless it is sent, the cluster warms until its fetch timeout of 15 s.
      const eds = of("eds");
      for (const { edsName } of resources) if (edsName !== undefined) markForResend(eds, edsName);
      if (removed.length > 0 && config !== undefined) {
        const wanted = edsNamesOf(config);
        for (const name of eds.resend) if (!wanted.has(name)) eds.resend.delete(name);
      }
    }
    events.send(response);
  }

  /** Sends the next part of a rejected response that is still current; false when none is left. */
  function sendAlone(subscription: Subscription, present: ProxyConfig): boolean {
    for (let part = subscription.alone.shift(); part !== undefined; part = subscription.alone.shift()) {
      const due = dueResources(subscription, present);
      const resources = part.resources.filter((resource) => due.includes(resource));
      const gone = part.removed.length === 0 ? [] : dueRemovals(subscription, present);
      const removed = part.removed.filter((name) => gone.includes(name));
      if (resources.length === 0 && removed.length === 0) continue;
      send(subscription, resources, removed);
      return true;
    }
    return false;
  }

  /** Sends what is due of a kind; false when nothing is due or a response is still unacknowledged. */
  function sendDue(subscription: Subscription, present: ProxyConfig, removals: readonly string[]): boolean {
    if (!subscription.requested || subscription.unacknowledged !== undefined) return false;
    if (sendAlone(subscription, present)) return true;
    const batch = nextBatch(dueResources(subscription, present));
    const firstAnswer = subscription.wildcard && !subscription.answered;
    if (batch.length === 0 && removals.length === 0 && !firstAnswer) return false;
    const rawWaits = removals.length > 0 && batch.some((resource) => resource.raw);
    send(subscription, rawWaits ? [] : batch, removals);
    return true;
  }

  /** Whether the client has acknowledged or rejected every resource of a kind that it should have. */
  function settled(subscription: Subscription, present: ProxyConfig): boolean {
    if (!subscription.requested) return true;
    const { unacknowledged, alone } = subscription;
    return unacknowledged === undefined && alone.length === 0 && dueResources(subscription, present).length === 0;
  }

  /** Clusters that no longer exist and that no listener or route of the client uses any more. */
  function removableClusters(present: ProxyConfig): readonly string[] {
    const gone = dueRemovals(of("cds"), present);
    if (gone.length === 0) return gone;
    const [lds, rds] = [of("lds"), of("rds")];
    // A reconnecting client requests its clusters before its listeners: which clusters it still uses is
    // known only once it has acknowledged the first response.
    if (!of("cds").answered) return [];
    if (!settled(lds, present) || (lds.requested && dueRemovals(lds, present).length > 0)) return [];
    const used = new Set<string>();
    for (const { held } of [lds, rds])
      for (const { clusters } of held.values()) for (const name of clusters) used.add(name);
    return gone.filter((name) => !used.has(name));
  }

  /** Make before break: additions in the order clusters, endpoints, listeners; removals in reverse. */
  function step(): void {
    if (config === undefined) return;
    const present = config;
    const [cds, eds, lds, rds, sds] = [of("cds"), of("eds"), of("lds"), of("rds"), of("sds")];
    sendDue(cds, present, removableClusters(present));
    sendDue(eds, present, []);
    const endpointsSent = !eds.requested || dueResources(eds, present).length === 0;
    if (settled(cds, present) && endpointsSent) sendDue(lds, present, dueRemovals(lds, present));
    sendDue(rds, present, dueRemovals(rds, present));
    sendDue(sds, present, dueRemovals(sds, present));
  }

  function answerNonce(subscription: Subscription, { nonce, refusal }: Request): void {
    if (nonce === "" || subscription.unacknowledged?.nonce !== nonce) return;
    if (refusal === undefined) {
      noteAcknowledged(subscription);
      events.acknowledged(subscription.kind);
    } else {
      const repeated = noteRefused(subscription, refusal);
      events.refused(subscription.kind, refusal, repeated);
    }
  }

  /**
   * How many names of a type a client may subscribe to; its clusters count with raw ones and those of earlier streams.
   */
  function mostNames({ kind }: Subscription): number {
    // An unknown dataplane gets no response, and may have clusters from another control plane.
    if (config === undefined) return xdsLimits.names_in_request.value;
    return Math.max(config.cds.size, config[kind].size, of("cds").held.size) + xdsLimits.names.value;
  }

  function checkLength({ kind }: Subscription, name: string): void {
    const most = xdsLimits.name_length.value;
    if (name.length <= most || config?.[kind].has(name)) return;
    throw new LimitExceeded("name_length", callError("xds.name-length", { length: name.length, most }));
  }

  function subscribe(subscription: Subscription, request: Request): void {
    const first = !subscription.requested;
    subscription.requested = true;
    if (!first && request.subscribe.length === 0 && request.unsubscribe.length === 0) return;
    unsettle(subscription);
    const star = request.subscribe.includes("*");
    if (first && wildcardKinds.has(subscription.kind)) subscription.wildcard = star || request.subscribe.length === 0;
    else if (star) subscription.wildcard = true;

    for (const name of request.unsubscribe) {
      if (name === "*") {
        subscription.wildcard = false;
        for (const known of [...subscription.held.keys()]) {
          if (!subscription.names.has(known)) forget(subscription, known);
        }
      } else {
        subscription.names.delete(name);
        if (!subscription.wildcard) forget(subscription, name);
      }
    }
    const most = mostNames(subscription);
    for (const name of request.subscribe) {
      if (name === "*") continue;
      checkLength(subscription, name);
      subscription.names.add(name);
      if (subscription.names.size > most) throw tooManyNames(subscription, most);
      forget(subscription, name);
    }
    if (!first) return;
    for (const [name, version] of request.initialVersions) {
      if (version === "") continue;
      checkLength(subscription, name);
      resumed = true;
      const clusters = config?.[subscription.kind].get(name)?.clusters ?? [];
      subscription.held.set(name, { version, clusters, resource: undefined });
    }
  }

  function* refusedNow(): Generator<RefusedResource> {
    for (const { kind, refused } of subscriptions.values()) {
      for (const [name, { version, reason }] of refused) {
        if (config?.[kind].get(name)?.version === version) yield { kind, name, reason };
      }
    }
  }

  return {
    request(request) {
      const subscription = of(request.kind);
      answerNonce(subscription, request);
      subscribe(subscription, request);
      step();
    },
    configure(next) {
      config = next;
      step();
    },
    get configured() {
      return config !== undefined;
    },
    get resumed() {
      return resumed;
    },
    refusals() {
      const found = [...refusedNow()];
      const same =
        found.length === refusedLast.length &&
        found.every(({ kind, name, reason }, index) => {
          const last = refusedLast[index];
          return last?.kind === kind && last.name === name && last.reason === reason;
        });
      if (!same) refusedLast = found.length === 0 ? nothingRefused : found;
      return refusedLast;
    },
    retriable() {
      for (const { reason } of refusedNow()) if (mayPass(reason)) return true;
      return false;
    },
    retry() {
      for (const subscription of subscriptions.values()) retryRefused(subscription);
      step();
    },
    compareListeners(present) {
      if (config === undefined) return { missing: [], fresh: [], pending: false };
      return noteLost(of("lds"), config, present);
    },
    delivery: (kind, name) => (config === undefined ? undefined : deliveryOf(of(kind), config, name)),
    deliveries: (present) => [...subscriptions.values()].flatMap((subscription) => deliveriesOf(subscription, present)),
  };
}
