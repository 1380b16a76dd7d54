import type { ProxyConfig } from "../../envoy/resource.js";
import { absent, type Subscription, unsettle } from "./subscription.js";

/** What the listeners of an Envoy are, measured by what it acknowledged. */
export interface ListenerComparison {
  /** Wanted listeners that it acknowledged and does not have. */
  readonly missing: readonly string[];
  /** Those of them that were not known to be missing. */
  readonly fresh: readonly string[];
  /** A response with listeners has not been answered yet, so that the next comparison may have another result. */
  readonly pending: boolean;
}

/**
 * Stands for Envoy's own words, which it only writes to its log. They name a socket, so that the listener is sent again
 * like one that Envoy could not bind.
 */
export const lostReason =
  "cannot listen: Envoy bound the address and acknowledged the listener, but listen(2) failed once it had warmed up, and " +
  "Envoy removed it; most likely another process listens there";

/**
 * Compares listeners that the client acknowledged with those that it has. Envoy calls listen(2) only when a listener has
 * warmed up, long after its acknowledgement, and removes it when that fails, its earlier version included. What is missing
 * counts as refused until it is acknowledged again. Names that were never sent mean nothing.
 */
export function noteLost(
  subscription: Subscription,
  config: ProxyConfig,
  present: ReadonlySet<string>,
): ListenerComparison {
  const { kind, held, refused, unacknowledged } = subscription;
  const underway = new Set(unacknowledged?.resources.map(({ name }) => name));
  const [missing, fresh]: [string[], string[]] = [[], []];
  for (const [name, one] of held) {
    if (one.version === absent.version || present.has(name) || underway.has(name)) continue;
    const resource = config[kind].get(name);
    if (resource !== undefined) missing.push(name);
    if (one.lost) continue;
    held.set(name, { ...one, lost: true });
    unsettle(subscription);
    // Another version is due, or was refused, by itself.
    if (resource?.version !== one.version) continue;
    fresh.push(name);
    refused.set(name, { version: one.version, resource, reason: lostReason, again: false });
  }
  return { missing, fresh, pending: unacknowledged !== undefined };
}
