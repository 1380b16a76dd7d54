import type { EnvoyResource, ProxyConfig, XdsKind } from "../../envoy/resource.js";
import { createNonces, type Response } from "../response.js";
import { mayPass } from "./passing-refusal.js";

/** The version of a resource that the client acknowledged. */
export interface Held {
  readonly version: string;
  /** Clusters that the listener sends traffic to; unknown when the client has it from an earlier stream. */
  readonly clusters: readonly string[];
  /** Unknown when the client has it from an earlier stream, unless that is the current version. */
  readonly resource: EnvoyResource | undefined;
  /** The client acknowledged it and then removed it, and may still list it when it reconnects. */
  readonly lost?: true;
}

/** Marks a name that the client knows does not exist. */
export const absent: Held = { version: "", clusters: [], resource: undefined };

/** A version that the client rejected, with its error message. */
export interface Refusal {
  readonly version: string;
  readonly resource: EnvoyResource;
  readonly reason: string;
  /** It is sent once more although unchanged; it counts as rejected until the client acknowledges it. */
  again: boolean;
}

interface Batch {
  readonly resources: readonly EnvoyResource[];
  readonly removed: readonly string[];
}

/** The tables of the configuration for which nothing was found to be due. */
export interface Settled {
  readonly own: ProxyConfig[XdsKind];
  /** They determine which assignments exist. */
  readonly clusters: ProxyConfig["cds"];
}

/** The unacknowledged response. It no longer delivers `stale` names, which the client has (un)subscribed since. */
interface Unacknowledged extends Batch {
  readonly nonce: string;
  readonly stale: Set<string>;
}

/**
 * The client's subscription to one resource type on one stream, and the resources that it has. The stages of a
 * resource: due (it differs from what is held), sent (part of the one unacknowledged response), then
 * held or rejected.
 */
export interface Subscription {
  readonly kind: XdsKind;
  /** Whether the client requested the type at all. */
  requested: boolean;
  wildcard: boolean;
  /** Whether the first wildcard request has been answered. */
  answered: boolean;
  readonly names: Set<string>;
  readonly held: Map<string, Held>;
  readonly refused: Map<string, Refusal>;
  /** The empty assignments sent for unknown names; undefined until one is requested. */
  empty: Map<string, EnvoyResource> | undefined;
  /** Assignments that must be sent again although unchanged, because their cluster was sent since. */
  readonly resend: Set<string>;
  /** Parts of a rejected response, each to be sent once more by itself. */
  readonly alone: Batch[];
  unacknowledged: Unacknowledged | undefined;
  /** For these tables nothing is to be sent (`complete`) or removed (`clean`): no need to compare again. */
  complete: Settled | undefined;
  clean: Settled | undefined;
  readonly nonce: (hash: string) => string;
}

export function createSubscription(kind: XdsKind): Subscription {
  return {
    kind,
    requested: false,
    wildcard: false,
    answered: false,
    names: new Set(),
    held: new Map(),
    refused: new Map(),
    empty: undefined,
    resend: new Set(),
    alone: [],
    unacknowledged: undefined,
    complete: undefined,
    clean: undefined,
    nonce: createNonces(),
  };
}

/** Must be called whenever the names, `held`, `refused` or `resend` change. */
export function unsettle(subscription: Subscription): void {
  subscription.complete = undefined;
  subscription.clean = undefined;
}

/** Marks an assignment to be sent even if the client already has it. */
export function markForResend(subscription: Subscription, name: string): void {
  subscription.resend.add(name);
  unsettle(subscription);
}

/** Keeps only the stale names that the response holds: a client may unsubscribe from any number of others. */
function prune({ resources, removed, stale }: Unacknowledged): void {
  const present = new Set(removed);
  for (const { name } of resources) present.add(name);
  for (const name of stale) if (!present.has(name)) stale.delete(name);
}

/** Forgets a name, so that the resource is sent if the client subscribes to it again (delta xDS, unsubscribing). */
export function forget(subscription: Subscription, name: string): void {
  const { unacknowledged } = subscription;
  subscription.held.delete(name);
  subscription.refused.delete(name);
  subscription.empty?.delete(name);
  if (unacknowledged !== undefined) {
    unacknowledged.stale.add(name);
    const { resources, removed, stale } = unacknowledged;
    if (stale.size > 2 * (resources.length + removed.length) + 100) prune(unacknowledged);
  }
  unsettle(subscription);
}

export function noteSent(subscription: Subscription, response: Response): void {
  const { resources, removed, nonce } = response;
  subscription.unacknowledged = { resources, removed, nonce, stale: new Set() };
  for (const { name } of resources) subscription.resend.delete(name);
}

export function noteAcknowledged(subscription: Subscription): void {
  const sent = subscription.unacknowledged;
  if (sent === undefined) return;
  subscription.unacknowledged = undefined;
  unsettle(subscription);
  for (const resource of sent.resources) {
    const { name, version, clusters } = resource;
    if (sent.stale.has(name)) continue;
    subscription.held.set(name, { version, clusters, resource });
    subscription.refused.delete(name);
  }
  noteRemoved(subscription, sent);
}

function noteRemoved(subscription: Subscription, { removed, stale }: Unacknowledged): void {
  for (const name of removed) {
    if (stale.has(name)) continue;
    if (subscription.names.has(name)) subscription.held.set(name, absent);
    else subscription.held.delete(name);
  }
}

/**
 * A client rejects a response as a whole, although only one of its resources may be invalid: Envoy even drops
 * all of them when one cannot be decoded. Each part is therefore sent by itself, once. A resource that is
 * rejected alone stays rejected until its content changes or, if the reason is transient, it is retried.
 * @returns whether the client had rejected all of it before
 */
export function noteRefused(subscription: Subscription, reason: string): boolean {
  const sent = subscription.unacknowledged;
  if (sent === undefined) return false;
  subscription.unacknowledged = undefined;
  unsettle(subscription);
  const refusedBefore = ({ name, version }: EnvoyResource) => subscription.refused.get(name)?.version === version;
  const repeated = sent.removed.length === 0 && sent.resources.every(refusedBefore);
  const parts = sent.resources.length + (sent.removed.length > 0 ? 1 : 0);
  if (parts > 1) {
    if (sent.removed.length > 0) subscription.alone.push({ resources: [], removed: sent.removed });
    for (const resource of sent.resources) {
      if (!sent.stale.has(resource.name)) subscription.alone.push({ resources: [resource], removed: [] });
    }
    return repeated;
  }
  for (const resource of sent.resources) {
    const { name, version } = resource;
    if (!sent.stale.has(name)) subscription.refused.set(name, { version, resource, reason, again: false });
  }
  // A rejected removal would be due again immediately, forever: the client may keep the resource.
  noteRemoved(subscription, sent);
  return repeated;
}

/** Marks what the client rejected for a transient reason to be sent once more. */
export function retryRefused(subscription: Subscription): void {
  for (const refusal of subscription.refused.values()) {
    if (refusal.again || !mayPass(refusal.reason)) continue;
    refusal.again = true;
    unsettle(subscription);
  }
}
