import type { Logger } from "../../lib/logger.js";
import { type DataplaneInsight, dataplaneInsightType, type Subscription } from "../../resources/dataplane-insight.js";
import type { Instances } from "../../store/instances.js";
import { type Store, type Stored, StoreError, type Write } from "../../store/store.js";
import { timestamp } from "./subscription.js";

interface AbandonedOptions {
  readonly store: Store;
  readonly instances: Instances;
  readonly logger: Logger;
  readonly now?: () => Date;
}

/** The insight with the subscriptions of dead control planes closed; undefined if there are none. */
function closing(
  insight: Stored<DataplaneInsight>,
  abandoned: (subscription: Subscription) => boolean,
  now: Date,
): Write | undefined {
  const { subscriptions = [] } = insight.spec;
  if (!subscriptions.some(abandoned)) return undefined;
  const disconnectTime = timestamp(now);
  const closed = subscriptions.map((one) => (abandoned(one) ? { ...one, disconnectTime } : one));
  const { version, ...resource } = insight;
  return { resource: { ...resource, spec: { ...insight.spec, subscriptions: closed } }, version };
}

/**
 * Closes the subscriptions of control planes that timed out, so that dataplanes without a connected control plane do
 * not count as online.
 * @returns how many insights were changed
 */
export async function closeAbandoned(options: Omit<AbandonedOptions, "logger">): Promise<number> {
  const { store, instances, now = () => new Date() } = options;
  const running = await instances.running();
  const abandoned = ({ controlPlaneInstanceId = "", disconnectTime }: Subscription) =>
    disconnectTime === undefined && !running.has(controlPlaneInstanceId);
  const insights = await store.list(dataplaneInsightType);
  const writes = insights.flatMap((insight) => closing(insight, abandoned, now()) ?? []);
  const outcomes = await store.writeAll(writes);
  const beaten = outcomes.filter((outcome) => outcome instanceof StoreError).length;
  // An insight that was written concurrently may still have an open one.
  return writes.length - beaten + (beaten > 0 ? await closeAbandoned(options) : 0);
}

/** Cleans up after other control planes for as long as this one runs. */
export function startAbandonedCleanup(options: AbandonedOptions & { readonly rewrite: () => void }): void {
  const { instances, logger, rewrite } = options;
  let cleaning = false;
  instances.observe({
    died(dead) {
      if (cleaning) return;
      cleaning = true;
      closeAbandoned(options)
        .then(async (closed) => {
          await instances.forget(dead);
          if (dead.length > 0 || closed > 0)
            logger.info("control planes are gone; their streams are recorded as closed", {
              instances: dead,
              dataplanes: closed,
            });
        })
        .catch((error: unknown) =>
          logger.error("could not close the streams of control planes that are gone", { error }),
        )
        .finally(() => {
          cleaning = false;
        });
    },
    returned() {
      logger.info("other control planes considered this one dead; its streams are recorded again");
      rewrite();
    },
  });
}
