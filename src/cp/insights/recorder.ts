import type { Logger } from "../../lib/logger.js";
import type { DataplaneInsight } from "../../resources/dataplane-insight.js";
import { type Key, type Store, StoreError } from "../../store/store.js";
import type { StreamObserver } from "../../xds/observer.js";
import { mergeSubscriptions } from "./merge.js";
import { count, toSubscription, type WatchedStream, watchStream } from "./subscription.js";

export interface RecorderOptions {
  readonly store: Store;
  /** Chosen anew at each start of the process. */
  readonly instanceId: string;
  readonly flushIntervalMs: number;
  readonly logger: Logger;
  /** True for control plane instances that no longer exist; with a store of this process every other one is. */
  readonly vanished: (controlPlaneInstanceId: string) => boolean;
  readonly now?: () => Date;
}

export interface InsightRecorder extends StreamObserver {
  /** Writes what is not yet written. */
  flush(): Promise<void>;
  /** A last flush; events after it are not recorded. */
  close(): Promise<void>;
}

/** The streams of one proxy: usually one, two while it reconnects. */
interface Proxy {
  readonly dataplane: Key;
  readonly streams: Map<string, WatchedStream>;
}

/** How many proxies are written at the same time. */
const parallelWrites = 16;

/**
 * Keeps the DataplaneInsights: what happens on the streams is collected per proxy and written once an interval. A
 * timer only runs while something waits to be written, so an idle mesh costs nothing.
 */
export function createInsightRecorder(options: RecorderOptions): InsightRecorder {
  const { store, instanceId, logger, vanished } = options;
  const now = options.now ?? (() => new Date());
  const proxies = new Map<string, Proxy>();
  const streams = new Map<string, { readonly stream: WatchedStream; readonly proxy: Proxy }>();
  const dirty = new Set<Proxy>();
  let timer: NodeJS.Timeout | undefined;
  let flushing: Promise<void> | undefined;
  let closed = false;

  function mark(proxy: Proxy): void {
    dirty.add(proxy);
    if (closed || timer !== undefined) return;
    timer = setTimeout(() => {
      timer = undefined;
      void flush();
    }, options.flushIntervalMs);
  }

  function proxyOf(mesh: string, name: string): Proxy {
    const key = `${mesh}\n${name}`;
    const known = proxies.get(key);
    if (known !== undefined) return known;
    const proxy: Proxy = { dataplane: { type: "Dataplane", mesh, name }, streams: new Map() };
    proxies.set(key, proxy);
    return proxy;
  }

  /** Closed streams are only remembered until they are written. */
  function forget(proxy: Proxy, written: readonly WatchedStream[]): void {
    for (const stream of written) {
      if (streams.has(stream.id)) continue;
      proxy.streams.delete(stream.id);
    }
    if (proxy.streams.size === 0) proxies.delete(`${proxy.dataplane.mesh}\n${proxy.dataplane.name}`);
  }

  async function write(proxy: Proxy): Promise<void> {
    const { dataplane } = proxy;
    const watched = [...proxy.streams.values()];
    const gone = watched.filter((stream) => !streams.has(stream.id));
    if ((await store.get(dataplane)) !== undefined) {
      const key: Key = { ...dataplane, type: "DataplaneInsight" };
      const stored = await store.get(key);
      const subscriptions = mergeSubscriptions(
        (stored?.spec as DataplaneInsight | undefined)?.subscriptions ?? [],
        watched.map((stream) => toSubscription(stream, instanceId)),
        {
          now: now(),
          live: ({ id }) => id !== undefined && streams.has(id),
          silent: (id) => id === instanceId || vanished(id),
        },
      );
      const resource = { ...key, spec: { subscriptions } satisfies DataplaneInsight };
      await (stored === undefined ? store.create(resource) : store.update(resource, stored.version));
      // The Dataplane may have been deleted between the look and the write; its insight goes with it.
      if ((await store.get(dataplane)) === undefined) await store.delete(key).catch(ignoreAbsence);
    }
    forget(proxy, gone);
  }

  async function attempt(proxy: Proxy): Promise<void> {
    try {
      await write(proxy);
    } catch (error) {
      mark(proxy);
      const { mesh, name } = proxy.dataplane;
      if (error instanceof StoreError) logger.debug("insight will be written again", { mesh, name, error });
      else logger.error("could not write an insight", { mesh, name, error });
    }
  }

  async function flushAll(): Promise<void> {
    const waiting = [...dirty];
    dirty.clear();
    const lanes = Array.from({ length: Math.min(parallelWrites, waiting.length) }, async () => {
      for (let proxy = waiting.pop(); proxy !== undefined; proxy = waiting.pop()) await attempt(proxy);
    });
    await Promise.all(lanes);
  }

  /** Flushes never overlap: the second of two concurrent writes of one proxy would lose against the first. */
  async function flush(): Promise<void> {
    while (flushing !== undefined) await flushing;
    flushing = flushAll().finally(() => {
      flushing = undefined;
    });
    await flushing;
  }

  function update(id: string, change: (stream: WatchedStream) => void): void {
    const entry = streams.get(id);
    if (entry === undefined) return;
    change(entry.stream);
    mark(entry.proxy);
  }

  return {
    opened(event) {
      const proxy = proxyOf(event.mesh, event.name);
      // The proxy has one ADS stream; an older one that still looks open lost its connection without our hearing of it.
      for (const older of proxy.streams.values()) older.disconnectTime ??= event.at;
      const stream = watchStream(event);
      proxy.streams.set(stream.id, stream);
      streams.set(stream.id, { stream, proxy });
      mark(proxy);
    },
    sent: (id, kind, at) => update(id, (stream) => count(stream, kind, "responsesSent", at)),
    acknowledged: (id, kind, at) => update(id, (stream) => count(stream, kind, "responsesAcknowledged", at)),
    rejected(id, kind, at, reason) {
      update(id, (stream) => {
        count(stream, kind, "responsesRejected", at);
        const { mesh, name } = stream;
        logger.info("a proxy refused its configuration", { mesh, dataplane: name, type: kind, reason });
      });
    },
    refusing(id, refused) {
      update(id, (stream) => {
        stream.refused = refused;
      });
    },
    closed(id, at) {
      update(id, (stream) => {
        stream.disconnectTime = at;
      });
      streams.delete(id);
    },
    flush,
    async close() {
      closed = true;
      clearTimeout(timer);
      timer = undefined;
      await flush();
      // Once more for what lost a race against another writer; nobody is left to try after that.
      if (dirty.size > 0) await flush();
    },
  };
}

function ignoreAbsence(error: unknown): void {
  if (!(error instanceof StoreError && error.kind === "not-found")) throw error;
}
