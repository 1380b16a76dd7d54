import type { Subscription } from "../../resources/dataplane-insight.js";
import { timestamp } from "./subscription.js";

/** How many subscriptions a DataplaneInsight keeps. */
export const keptSubscriptions = 10;

export interface MergeContext {
  readonly now: Date;
  /** True for subscriptions whose stream is known to be open. */
  readonly live: (subscription: Subscription) => boolean;
  /** True for instances that can no longer report the end of their streams: this one, and those that are gone. */
  readonly silent: (controlPlaneInstanceId: string) => boolean;
}

/**
 * What is stored for a proxy, brought up to date with what we watched: a subscription replaces the one with its id or
 * is appended; appending closes what a crashed control plane left open; the oldest beyond the cap go, closed ones
 * first.
 */
export function mergeSubscriptions(
  stored: readonly Subscription[],
  watched: readonly Subscription[],
  { now, live, silent }: MergeContext,
): Subscription[] {
  const fresh = new Map(watched.map((subscription) => [subscription.id, subscription]));
  const known = new Set(stored.map(({ id }) => id));
  const appended = watched.filter(({ id }) => !known.has(id));
  const abandoned = (subscription: Subscription) =>
    appended.length > 0 &&
    subscription.disconnectTime === undefined &&
    !live(subscription) &&
    silent(subscription.controlPlaneInstanceId ?? "");
  const merged = stored.map((subscription) => {
    const update = fresh.get(subscription.id);
    if (update !== undefined) return update;
    return abandoned(subscription) ? { ...subscription, disconnectTime: timestamp(now) } : subscription;
  });
  return capped([...merged, ...appended]);
}

function capped(subscriptions: Subscription[]): Subscription[] {
  let surplus = subscriptions.length - keptSubscriptions;
  if (surplus <= 0) return subscriptions;
  const kept = subscriptions.filter(({ disconnectTime }) => {
    if (surplus === 0 || disconnectTime === undefined) return true;
    surplus -= 1;
    return false;
  });
  return kept.slice(-keptSubscriptions);
}
