import type { ProxyConfig } from "../../envoy/resource.js";
import { absent, type Subscription, unsettle } from "./subscription.js";

/** The listeners that an Envoy has, compared with those that it acknowledged. */
export interface ListenerComparison {
  /** Listeners of the current configuration that it acknowledged and does not have. */
  readonly missing: readonly string[];
  /** Those that an earlier comparison did not find missing. */
  readonly fresh: readonly string[];
  /** A response with listeners is still unacknowledged, so the next comparison may differ. */
  readonly pending: boolean;
}

/**
 * Replaces Envoy's error message, which it only writes to its log. It mentions listen(2), so that the listener is
 * retried like one that Envoy could not bind.
 */
export const lostReason =
  "cannot listen: Envoy bound the address and acknowledged the listener, but listen(2) failed once it had warmed up, and " +
  "Envoy removed it; most likely another process listens there";

/**
 * Compares the listeners that the client acknowledged with those that it has. Envoy calls listen(2) only once a
 * listener has warmed up, long after acknowledging it. If listen(2) fails, Envoy removes the listener, its earlier
 * version included. A missing listener counts as rejected until it is acknowledged again. Names that were never sent
 * are ignored.
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
    // The current version is another one, which is due or was rejected by itself.
    if (resource?.version !== one.version) continue;
    fresh.push(name);
    refused.set(name, { version: one.version, resource, reason: lostReason, again: false });
  }
  return { missing, fresh, pending: unacknowledged !== undefined };
}
