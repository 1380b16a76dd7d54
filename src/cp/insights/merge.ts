import type { Subscription } from "../../resources/dataplane-insight.js";
import { timestamp } from "./subscription.js";

/** How many subscriptions a DataplaneInsight keeps, unless more streams are open. */
export const keptSubscriptions = 10;

export interface MergeContext {
  readonly now: Date;
  /** This instance. Its subscriptions without a stream have ended. */
  readonly own: string;
  /** True for subscriptions whose stream is known to be open. */
  readonly live: (subscription: Subscription) => boolean;
  /** True for instances that can no longer report the end of their streams: this one, and dead ones. */
  readonly silent: (controlPlaneInstanceId: string) => boolean;
}

const isOpen = ({ disconnectTime }: Subscription) => disconnectTime === undefined;

/**
 * Merges observed subscriptions into the stored ones: a subscription replaces the one with its id or is appended. A
 * subscription of this instance without a stream is closed, and when one is appended, so are the open ones of dead
 * instances. Beyond the cap the oldest closed ones are removed. Open ones are kept, up to the cap per instance, so that
 * no number of streams with one instance hides that the proxy is connected to another one.
 */
export function mergeSubscriptions(
  stored: readonly Subscription[],
  watched: readonly Subscription[],
  { now, own, live, silent }: MergeContext,
): Subscription[] {
  const fresh = new Map(watched.map((subscription) => [subscription.id, subscription]));
  const known = new Set(stored.map(({ id }) => id));
  const appended = watched.filter(({ id }) => !known.has(id));
  const abandoned = (subscription: Subscription) =>
    isOpen(subscription) &&
    !live(subscription) &&
    (subscription.controlPlaneInstanceId === own ||
      (appended.length > 0 && silent(subscription.controlPlaneInstanceId ?? "")));
  const merged = stored.map((subscription) => {
    const update = fresh.get(subscription.id);
    if (update !== undefined) return update;
    return abandoned(subscription) ? { ...subscription, disconnectTime: timestamp(now) } : subscription;
  });
  return capped([...merged, ...appended]);
}

/**
 * The open subscriptions to keep: for each instance the oldest one, so that a second proxy can't push it out, and the
 * newest ones.
 */
function keptOpen(subscriptions: readonly Subscription[]): ReadonlySet<Subscription> {
  const byInstance = new Map<string, Subscription[]>();
  for (const subscription of subscriptions) {
    if (!isOpen(subscription)) continue;
    const { controlPlaneInstanceId = "" } = subscription;
    const ofInstance = byInstance.get(controlPlaneInstanceId);
    if (ofInstance === undefined) byInstance.set(controlPlaneInstanceId, [subscription]);
    else ofInstance.push(subscription);
  }
  const kept = [...byInstance.values()].flatMap((open) =>
    open.length <= keptSubscriptions ? open : [...open.slice(0, 1), ...open.slice(1 - keptSubscriptions)],
  );
  return new Set(kept);
}

function capped(subscriptions: Subscription[]): Subscription[] {
  if (subscriptions.length <= keptSubscriptions) return subscriptions;
  const open = keptOpen(subscriptions);
  const closed = subscriptions.filter((subscription) => !isOpen(subscription));
  const room = Math.max(0, keptSubscriptions - open.size);
  const keptClosed = new Set(room === 0 ? [] : closed.slice(-room));
  return subscriptions.filter((subscription) => open.has(subscription) || keptClosed.has(subscription));
}
