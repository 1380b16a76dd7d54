import { setTimeout as pause } from "node:timers/promises";
import { messageOf } from "../lib/errors.js";
import type { Logger } from "../lib/logger.js";
import { dataplaneHealthType } from "../resources/dataplane-health.js";
import { dataplaneInsightType } from "../resources/dataplane-insight.js";
import { readStored } from "../store/read.js";
import { type Key, type Store, StoreError } from "../store/store.js";
import type { View } from "../view/mesh-view.js";
import type { HealthObserver } from "../xds/health/server.js";
import type { ProxyId } from "../xds/node.js";

/** A sidecar that lost its control plane reconnects within this time, and reports again. */
const graceMs = 30_000;
/** Minimum time between two writes for one proxy. */
const retryMs = 1_000;

/** The records and the connected proxies. */
interface Sweepable {
  readonly view: () => View;
  connected(id: ProxyId): boolean;
  reports(id: ProxyId): boolean;
}

export interface ApplicationHealth extends HealthObserver {
  /**
   * Starts to delete, periodically and after sidecars had time to reconnect, the records of sidecars that are connected
   * here but do not report, because an older release started them: their records would never be corrected.
   */
  start(proxies: Sweepable): void;
  close(): void;
}

interface Options {
  readonly store: Store;
  readonly logger: Logger;
}

const keyOf = ({ mesh, name }: ProxyId): Key => ({ type: "DataplaneHealth", mesh, name });

/** Records in the store, for all control planes, which applications are down according to their sidecars. */
export function createApplicationHealth({ store, logger }: Options): ApplicationHealth {
  /** The newest pending record of each proxy. */
  const due = new Map<string, readonly number[]>();
  const writing = new Set<string>();
  const graces = new Map<string, NodeJS.Timeout>();
  let closed = false;
  let sweeping: NodeJS.Timeout | undefined;

  /** Updates the record; a missing Dataplane has none. */
  async function record(proxy: ProxyId, down: readonly number[]): Promise<void> {
    const key = keyOf(proxy);
    const stored = await readStored(store, dataplaneHealthType, proxy);
    if ((stored?.spec.down ?? []).join() === down.join()) return;
    logger.info(down.length > 0 ? "applications are down" : "applications accept connections again", {
      ...proxy,
      ports: down,
    });
    const exists = down.length > 0 && (await store.get({ ...key, type: "Dataplane" })) !== undefined;
    if (!exists) {
      if (stored !== undefined) await store.delete(key);
      return;
    }
    const resource = { ...key, spec: { down: [...down] } };
    if (stored === undefined) await store.create(resource);
    else await store.update(resource, stored.version);
  }

  async function write(proxy: ProxyId, text: string): Promise<void> {
    for (let down = due.get(text); down !== undefined && !closed; down = due.get(text)) {
      try {
        await record(proxy, down);
        if (due.get(text) === down) due.delete(text);
        // One write a second, however often a sidecar reports.
        await pause(retryMs, undefined, { ref: false });
      } catch (error) {
        if (!(error instanceof StoreError))
          logger.error("the health of applications was not recorded", { ...proxy, error });
        else logger.debug("the health of applications is recorded again", { ...proxy, reason: messageOf(error) });
        await pause(retryMs, undefined, { ref: false });
      }
    }
  }

  function set(proxy: ProxyId, down: readonly number[]): void {
    const text = `${proxy.mesh}\n${proxy.name}`;
    due.set(text, down);
    if (writing.has(text)) return;
    writing.add(text);
    write(proxy, text).then(
      () => void writing.delete(text),
      (error: unknown) => {
        writing.delete(text);
        logger.error("the health of applications was not recorded", { ...proxy, error });
      },
    );
  }

  function sweep({ view, connected, reports }: Sweepable): void {
    for (const [mesh, { down }] of view()) {
      for (const name of down.keys()) {
        const id = { mesh, name };
        if (connected(id) && !reports(id)) set(id, []);
      }
    }
  }

  /** Deletes a record, unless the sidecar is now connected to another control plane, which keeps it. */
  async function forget(proxy: ProxyId): Promise<void> {
    const insight = await readStored(store, dataplaneInsightType, proxy);
    const { subscriptions = [] } = insight?.spec ?? {};
    if (subscriptions.every(({ disconnectTime }) => disconnectTime !== undefined)) set(proxy, []);
  }

  function endGrace(proxy: ProxyId): void {
    const text = `${proxy.mesh}\n${proxy.name}`;
    clearTimeout(graces.get(text));
    graces.delete(text);
  }

  return {
    applicationsDown(proxy, ports) {
      endGrace(proxy);
      set(proxy, ports);
    },
    disconnected(proxy) {
      if (closed) return;
      endGrace(proxy);
      const timer = setTimeout(() => {
        endGrace(proxy);
        forget(proxy).catch((error: unknown) => {
          logger.info("a recorded state of applications could not be deleted", { ...proxy, error });
        });
      }, graceMs);
      graces.set(`${proxy.mesh}\n${proxy.name}`, timer.unref());
    },
    start(proxies) {
      sweeping = setInterval(() => sweep(proxies), 2 * graceMs).unref();
    },
    close() {
      closed = true;
      clearInterval(sweeping);
      for (const timer of graces.values()) clearTimeout(timer);
    },
  };
}
