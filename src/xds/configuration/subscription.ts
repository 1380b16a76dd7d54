import type { EnvoyResource, ProxyConfig, XdsKind } from "../../envoy/resource.js";
import { createNonces, type Response } from "../response.js";
import { mayPass } from "./passing-refusal.js";

/** What the client has of a resource, as far as it acknowledged it. */
export interface Held {
  readonly version: string;
  /** Clusters that the held listener sends traffic to; unknown for what it brought along from an earlier stream. */
  readonly clusters: readonly string[];
  /** Unknown for what it brought along, unless that is what it should have. */
  readonly resource: EnvoyResource | undefined;
  /** The client dropped it after it had acknowledged it, and may still name it when it connects again. */
  readonly lost?: true;
}

/** Stands for "the client knows that there is no such resource". */
export const absent: Held = { version: "", clusters: [], resource: undefined };

/** Content the client refused, with its own words. */
export interface Refusal {
  readonly version: string;
  readonly resource: EnvoyResource;
  readonly reason: string;
  /** It is to be sent once more although it has not changed; still refused until the client says otherwise. */
  again: boolean;
}

interface Batch {
  readonly resources: readonly EnvoyResource[];
  readonly removed: readonly string[];
}

/** The tables of a configuration by which a subscription was found to have nothing due. */
export interface Settled {
  readonly own: ProxyConfig[XdsKind];
  /** They say which assignments there are to be. */
  readonly clusters: ProxyConfig["cds"];
}

/** One response on its way; names the client dropped or asked for again meanwhile no longer count as delivered by it. */
interface Unacknowledged extends Batch {
  readonly nonce: string;
  readonly stale: Set<string>;
}

/**
 * The client's interest in one resource type on one stream, and what it has of it. The stages of a
 * resource: due (it differs from what is held), sent (part of the one unacknowledged response), then
 * held or refused.
 */
export interface Subscription {
  readonly kind: XdsKind;
  /** Whether the client asked for the type at all. */
  asked: boolean;
  wildcard: boolean;
  /** Whether the first wildcard request has been answered. */
  answered: boolean;
  readonly names: Set<string>;
  readonly held: Map<string, Held>;
  readonly refused: Map<string, Refusal>;
  /** What names that we know nothing of are answered with, once such a name was asked for. */
  empty: Map<string, EnvoyResource> | undefined;
  /** Assignments that must be sent although unchanged, because their cluster was sent since. */
  readonly owed: Set<string>;
  /** Parts of a refused response, each to be sent once more by itself. */
  readonly alone: Batch[];
  unacknowledged: Unacknowledged | undefined;
  /** Where nothing is to be sent, and nothing to be removed: as long as that stands, nobody has to look again. */
  complete: Settled | undefined;
  clean: Settled | undefined;
  readonly nonce: (hash: string) => string;
}

export function createSubscription(kind: XdsKind): Subscription {
  return {
    kind,
    asked: false,
    wildcard: false,
    answered: false,
    names: new Set(),
    held: new Map(),
    refused: new Map(),
    empty: undefined,
    owed: new Set(),
    alone: [],
    unacknowledged: undefined,
    complete: undefined,
    clean: undefined,
    nonce: createNonces(),
  };
}

/** To be called with every change of what the client wants, has or is owed. */
export function unsettle(subscription: Subscription): void {
  subscription.complete = undefined;
  subscription.clean = undefined;
}

/** Owes the client an assignment, whether or not it has it. */
export function owe(subscription: Subscription, name: string): void {
  subscription.owed.add(name);
  unsettle(subscription);
}

/** Keeps of the names that were dropped those that the response holds: a client may drop others for ever. */
function prune({ resources, removed, stale }: Unacknowledged): void {
  const present = new Set(removed);
  for (const { name } of resources) present.add(name);
  for (const name of stale) if (!present.has(name)) stale.delete(name);
}

/** Forgets a name, so that a later request for it is answered in full (xDS: delta, unsubscribing). */
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
  for (const { name } of resources) subscription.owed.delete(name);
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
 * A client refuses a response as a whole, although only one of its resources may be at fault: Envoy
 * even drops all of them when one does not decode. Each part is therefore tried by itself, once; what
 * is refused alone stays refused until its content changes or, where the reason may pass, is retried.
 * @returns whether the client had refused all of it before
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
  // A refused removal would be due again at once, for ever: what the client wants to keep, it keeps.
  noteRemoved(subscription, sent);
  return repeated;
}

/** Has sent again, once, what the client refused for a reason that may pass. */
export function retryRefused(subscription: Subscription): void {
  for (const refusal of subscription.refused.values()) {
    if (refusal.again || !mayPass(refusal.reason)) continue;
    refusal.again = true;
    unsettle(subscription);
  }
}
