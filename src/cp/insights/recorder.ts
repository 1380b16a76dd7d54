import type { Logger } from "../../lib/logger.js";
import type { Instances } from "../../store/instances.js";
import { type Key, type Store, StoreError } from "../../store/store.js";
import type { ProxyId } from "../../xds/node.js";
import type { SecretObserver, StreamObserver } from "../../xds/observer.js";
import { keptSubscriptions } from "./merge.js";
import { together as bothNews, certified, noNews, type SecretNews } from "./secrets.js";
import { count, toSubscription, type WatchedStream, watchStream } from "./subscription.js";
import { type Report, writeReports } from "./writer.js";

export interface RecorderOptions {
  readonly store: Store;
  readonly instances: Instances;
  readonly flushIntervalMs: number;
  readonly logger: Logger;
  readonly now?: () => Date;
  /** Maximum insights written per interval; the others wait for the next one. */
  readonly mostPerInterval?: number;
}

export interface InsightRecorder extends StreamObserver, SecretObserver {
  /** The start times of a proxy's open streams with this instance, oldest first; empty if there are none. */
  openSince(proxy: ProxyId): readonly Date[];
  /** Writes all pending insights. */
  flush(): Promise<void>;
  /** Writes all open streams again, after other instances have overwritten them. */
  rewrite(): void;
  /** Flushes for the last time; later events are not recorded. */
  close(): Promise<void>;
}

interface Proxy {
  readonly dataplane: Key;
  /** Open streams, and ended ones not yet written: usually one, two while the proxy reconnects. */
  readonly streams: Map<string, WatchedStream>;
  secrets: SecretNews;
}

/** Insights per batch. */
const together = 100;
const usuallyMostPerInterval = 1_000;

/**
 * Maintains the DataplaneInsights: stream events are collected per proxy and written once per interval. The timer runs
 * only while writes are pending, so an idle mesh costs nothing; a busy one costs the store a limited number of writes,
 * because repeated changes of one insight are written once.
 */
export function createInsightRecorder(options: RecorderOptions): InsightRecorder {
  const { store, instances, logger, now = () => new Date(), mostPerInterval = usuallyMostPerInterval } = options;
  const proxies = new Map<string, Proxy>();
  const streams = new Map<string, { readonly stream: WatchedStream; readonly proxy: Proxy }>();
  const dirty = new Set<Proxy>();
  let timer: NodeJS.Timeout | undefined;
  let flushing: Promise<void> | undefined;
  let closed = false;

  function mark(proxy: Proxy): void {
    dirty.add(proxy);
    startTimer();
  }

  function startTimer(): void {
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
    const proxy: Proxy = { dataplane: { type: "Dataplane", mesh, name }, streams: new Map(), secrets: noNews };
    proxies.set(key, proxy);
    return proxy;
  }

  /** Keeps no more ended streams than an insight would: they would pile up while the store is not writable. */
  function dropEnded(proxy: Proxy): void {
    let ended = proxy.streams.size;
    if (ended <= keptSubscriptions) return;
    for (const id of proxy.streams.keys()) if (streams.has(id)) ended -= 1;
    for (const id of proxy.streams.keys()) {
      if (ended <= keptSubscriptions) return;
      if (streams.has(id)) continue;
      proxy.streams.delete(id);
      ended -= 1;
    }
  }

  /** Closed streams are dropped once they are written. */
  function forget(proxy: Proxy, written: readonly WatchedStream[]): void {
    for (const stream of written) {
      if (streams.has(stream.id)) continue;
      proxy.streams.delete(stream.id);
    }
    if (proxy.streams.size === 0 && proxy.secrets === noNews)
      proxies.delete(`${proxy.dataplane.mesh}\n${proxy.dataplane.name}`);
  }

  interface ProxyReport extends Report {
    readonly proxy: Proxy;
    /** Streams that had ended when the report was created. */
    readonly gone: readonly WatchedStream[];
  }

  function reportOf(proxy: Proxy): ProxyReport {
    const all = [...proxy.streams.values()];
    const gone = all.filter(({ id }) => !streams.has(id));
    const open = all.filter(({ id }) => streams.has(id));
    // An insight would drop any more than these.
    const reported =
      open.length <= keptSubscriptions ? open : [...open.slice(0, 1), ...open.slice(1 - keptSubscriptions)];
    const { secrets } = proxy;
    proxy.secrets = noNews;
    return {
      proxy,
      secrets,
      dataplane: proxy.dataplane,
      gone,
      watched: [...gone, ...reported].map((stream) => toSubscription(stream, instances.own)),
      live: ({ id }) => id !== undefined && streams.has(id),
    };
  }

  /** Keeps unwritten news for the next flush. */
  function again({ proxy, secrets }: ProxyReport): void {
    proxy.secrets = bothNews(secrets, proxy.secrets);
    mark(proxy);
  }

  async function write(some: readonly Proxy[]): Promise<void> {
    const reports = some.map(reportOf);
    try {
      const late = new Set(await writeReports({ store, instances, now }, reports));
      for (const report of reports) {
        if (late.has(report)) again(report);
        else forget(report.proxy, report.gone);
      }
    } catch (error) {
      reports.forEach(again);
      if (error instanceof StoreError) logger.debug("insights will be written again", { count: some.length, error });
      else logger.error("could not write insights", { count: some.length, error });
    }
  }

  async function flushSome(): Promise<void> {
    const waiting = [...dirty].slice(0, mostPerInterval);
    for (const proxy of waiting) dirty.delete(proxy);
    if (dirty.size > 0) startTimer();
    for (let start = 0; start < waiting.length; start += together) await write(waiting.slice(start, start + together));
  }

  /** Flushes never overlap: the second of two concurrent writes of one proxy would lose against the first. */
  async function flush(): Promise<void> {
    while (flushing !== undefined) await flushing;
    flushing = flushSome().finally(() => {
      flushing = undefined;
    });
    await flushing;
  }

  function news({ mesh, name }: ProxyId, change: (before: SecretNews) => SecretNews): void {
    const proxy = proxyOf(mesh, name);
    proxy.secrets = change(proxy.secrets);
    mark(proxy);
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
      // An older stream stays open until it ends: its connection may be lost, and then a ping finds out within about
      // a minute, or this one is a second proxy under the same name, which must not end the record of the first.
      const stream = watchStream(event);
      proxy.streams.set(stream.id, stream);
      streams.set(stream.id, { stream, proxy });
      mark(proxy);
    },
    sent: (id, kind, at) => update(id, (stream) => count(stream, kind, "responsesSent", at)),
    acknowledged: (id, kind, at) => update(id, (stream) => count(stream, kind, "responsesAcknowledged", at)),
    rejected: (id, kind, at) => update(id, (stream) => count(stream, kind, "responsesRejected", at)),
    refusing(id, refused) {
      update(id, (stream) => {
        stream.refused = refused;
      });
    },
    closed(id, at) {
      const entry = streams.get(id);
      if (entry === undefined) return;
      entry.stream.disconnectTime = at;
      streams.delete(id);
      dropEnded(entry.proxy);
      mark(entry.proxy);
    },
    certified: (proxy, { notAfter }, at) => news(proxy, (before) => certified(before, notAfter, at)),
    trusting: (proxy, trustedRoots) => news(proxy, (before) => ({ ...before, trustedRoots })),
    refused: (proxy, reason, at) => news(proxy, (before) => ({ ...before, refusal: { reason, at } })),
    openSince({ mesh, name }) {
      const proxy = proxies.get(`${mesh}\n${name}`);
      if (proxy === undefined) return [];
      return [...proxy.streams.values()].filter(({ id }) => streams.has(id)).map(({ connectTime }) => connectTime);
    },
    flush,
    rewrite: () => proxies.forEach(mark),
    async close() {
      closed = true;
      clearTimeout(timer);
      timer = undefined;
      // One more round for writes that lost a race: there is no later retry.
      for (let left = Math.ceil(dirty.size / mostPerInterval) + 1; left > 0 && dirty.size > 0; left--) await flush();
    },
  };
}
