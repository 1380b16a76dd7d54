import { setTimeout as wait } from "node:timers/promises";
import { dataplaneInsightType } from "../../resources/dataplane-insight.js";
import type { Instances } from "../../store/instances.js";
import { readStored } from "../../store/read.js";
import type { Store } from "../../store/store.js";
import type { ProxyId } from "../../xds/node.js";

export interface PresenceOptions {
  readonly store: Pick<Store, "get">;
  readonly instances: Pick<Instances, "own" | "running">;
  /** The start times of a proxy's open streams with this instance, oldest first. */
  readonly openSince: (proxy: ProxyId) => readonly Date[];
  /** How long another instance may take to record that a stream has ended, in milliseconds. */
  readonly lagMs: number;
}

/** Finds out whether a proxy is connected to any control plane that shares the store. */
export interface Presence {
  /** Since when the proxy is connected; undefined if it isn't. Throws the store's errors. */
  connectedSince(proxy: ProxyId): Promise<Date | undefined>;
}

export function createPresence({ store, instances, openSince, lagMs }: PresenceOptions): Presence {
  /** The start of the oldest stream with another live instance, as far as it is recorded. */
  async function elsewhere({ mesh, name }: ProxyId): Promise<Date | undefined> {
    const stored = await readStored(store, dataplaneInsightType, { mesh, name });
    const { subscriptions = [] } = stored?.spec ?? {};
    const open = subscriptions.filter(
      ({ connectTime, disconnectTime, controlPlaneInstanceId = instances.own }) =>
        connectTime !== undefined && disconnectTime === undefined && controlPlaneInstanceId !== instances.own,
    );
    if (open.length === 0) return undefined;
    const running = await instances.running();
    const times = open
      .filter(({ controlPlaneInstanceId = "" }) => running.has(controlPlaneInstanceId))
      .map(({ connectTime = "" }) => Date.parse(connectTime));
    return times.length === 0 ? undefined : new Date(Math.min(...times));
  }

  return {
    async connectedSince(proxy) {
      const [here] = openSince(proxy);
      if (here !== undefined) return here;
      if ((await elsewhere(proxy)) === undefined) return undefined;
      // Its stream may just have ended, as when kuma-dp restarts, with the record lagging behind.
      await wait(lagMs, undefined, { ref: false });
      return openSince(proxy)[0] ?? (await elsewhere(proxy));
    },
  };
}
