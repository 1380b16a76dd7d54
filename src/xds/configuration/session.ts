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
  noteAcknowledged,
  noteRefused,
  noteSent,
  owe,
  retryRefused,
  type Subscription,
  unsettle,
} from "./subscription.js";

/** A discovery request, whichever protocol it came by. */
export interface Request {
  readonly kind: XdsKind;
  /** Nonce of the response this acknowledges or refuses; empty when it does neither. */
  readonly nonce: string;
  /** The client's words when it refuses, cut to a sane length. */
  readonly refusal: string | undefined;
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Versions the client brought along from an earlier stream. */
  readonly initialVersions: ReadonlyMap<string, string>;
}

export interface SessionEvents {
  send(response: Response): void;
  acknowledged(kind: XdsKind): void;
  /** `repeated`: the client had refused the same content before. */
  refused(kind: XdsKind, reason: string, repeated: boolean): void;
}

/**
 * One discovery stream: who asked for what, what was sent, acknowledged and refused, and what is due.
 * It knows nothing of the wire, the clock or the store; `configure` and `request` may be called in any
 * order, and each sends at once whatever has become due.
 */
export interface Session {
  /** @throws LimitExceeded when the client asks for more than it may; the stream has to end then */
  request(request: Request): void;
  /** The proxy's present configuration; until the first call nothing is answered. */
  configure(config: ProxyConfig): void;
  readonly configured: boolean;
  /** Whether the client had resources from an earlier stream; it hasn't when it was only started. */
  readonly resumed: boolean;
  /** What the client refuses to take of its present configuration; the same array for as long as that stays so. */
  refusals(): readonly RefusedResource[];
  /** Whether any of that may be accepted later, as it is: a port was taken, a directory missing. */
  retriable(): boolean;
  /** Sends once more what `retriable` is about. */
  retry(): void;
  /**
   * Takes note of the listeners that the client really has, by name. Those that it acknowledged and lost count as refused
   * for a reason that may pass; nothing is sent before `retry`.
   */
  compareListeners(present: ReadonlySet<string>): ListenerComparison;
  /** How one resource of its configuration stands; undefined when it knows of none by that name. */
  delivery(kind: XdsKind, name: string): Delivery | undefined;
  /** How all resources stand, measured by a configuration that it may not have been given yet. */
  deliveries(config: ProxyConfig): readonly Delivery[];
}

/** A resource that a client refuses, in its own words. */
export interface RefusedResource {
  readonly kind: XdsKind;
  readonly name: string;
  readonly reason: string;
}

const nothingRefused: readonly RefusedResource[] = [];

const wildcardKinds: ReadonlySet<XdsKind> = new Set(["cds", "lds"]);

/** What goes into the next response: all generated resources together, a raw one always by itself. */
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
      // In delta, Envoy does not ask again for the assignment of a cluster it re-creates, since its
      // watch on the name never ended: unasked, the cluster would warm until its fetch timeout of 15 s.
      const eds = of("eds");
      for (const { edsName } of resources) if (edsName !== undefined) owe(eds, edsName);
      if (removed.length > 0 && config !== undefined) {
        const wanted = edsNamesOf(config);
        for (const name of eds.owed) if (!wanted.has(name)) eds.owed.delete(name);
      }
    }
    events.send(response);
  }

  /** Sends the next refused part that still says what it should; false when none is left. */
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

  /** Sends what is due of a kind; false when there was nothing to send, or a response is still on its way. */
  function sendDue(subscription: Subscription, present: ProxyConfig, removals: readonly string[]): boolean {
    if (!subscription.asked || subscription.unacknowledged !== undefined) return false;
    if (sendAlone(subscription, present)) return true;
    const batch = nextBatch(dueResources(subscription, present));
    const firstAnswer = subscription.wildcard && !subscription.answered;
    if (batch.length === 0 && removals.length === 0 && !firstAnswer) return false;
    const rawWaits = removals.length > 0 && batch.some((resource) => resource.raw);
    send(subscription, rawWaits ? [] : batch, removals);
    return true;
  }

  /** Whether the client has, or has refused, all that it should be told of a kind. */
  function settled(subscription: Subscription, present: ProxyConfig): boolean {
    if (!subscription.asked) return true;
    const { unacknowledged, alone } = subscription;
    return unacknowledged === undefined && alone.length === 0 && dueResources(subscription, present).length === 0;
  }

  /** Clusters that are gone and that no listener and no routes of the client use any more. */
  function removableClusters(present: ProxyConfig): readonly string[] {
    const gone = dueRemovals(of("cds"), present);
    if (gone.length === 0) return gone;
    const [lds, rds] = [of("lds"), of("rds")];
    // A reconnecting client names its clusters before its listeners: those that it still uses are
    // only known once the first answer is acknowledged.
    if (!of("cds").answered) return [];
    if (!settled(lds, present) || (lds.asked && dueRemovals(lds, present).length > 0)) return [];
    const used = new Set<string>();
    for (const { held } of [lds, rds])
      for (const { clusters } of held.values()) for (const name of clusters) used.add(name);
    return gone.filter((name) => !used.has(name));
  }

  /** Make before break: clusters, endpoints, listeners on the way up, the reverse on the way down. */
  function step(): void {
    if (config === undefined) return;
    const present = config;
    const [cds, eds, lds, rds, sds] = [of("cds"), of("eds"), of("lds"), of("rds"), of("sds")];
    sendDue(cds, present, removableClusters(present));
    sendDue(eds, present, []);
    const endpointsSent = !eds.asked || dueResources(eds, present).length === 0;
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

  /** How many names of a type a client may ask for: its clusters, the raw ones and those it brought along included. */
  function mostNames({ kind }: Subscription): number {
    // An unknown dataplane is answered nothing, and may hold clusters of another control plane.
    if (config === undefined) return xdsLimits.names_in_request.value;
    return Math.max(config.cds.size, config[kind].size, of("cds").held.size) + xdsLimits.names.value;
  }

  function checkLength({ kind }: Subscription, name: string): void {
    const most = xdsLimits.name_length.value;
    if (name.length <= most || config?.[kind].has(name)) return;
    throw new LimitExceeded("name_length", callError("xds.name-length", { length: name.length, most }));
  }

  function subscribe(subscription: Subscription, request: Request): void {
    const first = !subscription.asked;
    subscription.asked = true;
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
