import { monitorEventLoopDelay, type Histogram as Recorded } from "node:perf_hooks";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { ProxyConfig } from "../../envoy/resource.js";
import { kinds, typeUrls, type XdsKind } from "../../envoy/resource.js";
import type { Refusal } from "../../net/exchange.js";
import type { Incidents } from "../../net/incidents.js";
import type { Generate } from "../../xds/configuration/proxies.js";
import type { StreamObserver } from "../../xds/observer.js";
import { type ReportResult, reportResults } from "../bootstrap/listener-report.js";

/** The control plane's Prometheus metrics. Where Kuma has the same metric, name and unit are Kuma's. */
export interface Metrics {
  /** Observes discovery streams. */
  readonly observer: StreamObserver;
  /** Wraps a generator to measure its duration and output. */
  measured(generate: Generate): Generate;
  /** Records a finished store operation, by resource type. */
  storeOperation(operation: string, type: string, milliseconds: number): void;
  /** Counts a write that lost against a concurrent one. */
  storeConflict(type: string): void;
  /**
   * Counts rejections and exceptions of a server, by its name and its limits. The series exist from the start, because
   * Prometheus sees no rate in a series that appears with 1.
   */
  incidents(server: string, limits: readonly string[]): Incidents;
  /** Counts a failure of the store's change feed. */
  feedFailed(): void;
  /** Counts a write of the Dataplane of a pod. */
  podDataplaneWritten(operation: "create" | "update" | "delete"): void;
  /** Counts a failed attempt to write one. */
  podDataplaneFailed(): void;
  /** Counts a request that an HTTP server rejected. */
  requestRefused(reason: Refusal): void;
  /** Counts a kuma-dp's report of its Envoy's listeners. */
  listenersReported(result: ReportResult): void;
  /** Sets how to count open streams, once the servers run. */
  countStreams(count: { readonly xds: () => number; readonly sds: () => number }): void;
  /** Sets how to count objects of the Kubernetes API that can't be read. */
  countSkipped(count: () => number): void;
  readonly contentType: string;
  /** All metrics in Prometheus's text format. */
  text(): Promise<string>;
  /** Stops measuring the event loop. */
  close(): void;
}

/** Buckets in milliseconds, from a mere lookup to a noticeable delay. */
const milliseconds = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];
const counts = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000];
const sizes = [1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 4_000_000];

/** A finer resolution would wake an idle control plane a hundred times a second. */
const loopResolutionMs = 100;
const hourMs = 3_600_000;

const lagPercentiles = [50, 90, 99] as const;

/**
 * Event loop delays in seconds, by the suffix after `nodejs_eventloop_lag_` in the metric's name. A punctual sample is
 * recorded as the sampling interval, in nanoseconds, which is not a delay.
 */
export function eventLoopLags(looks: Recorded, pauseMs: number): Readonly<Record<string, number>> {
  const late = (nanoseconds: number) => (looks.count === 0 ? 0 : Math.max(0, nanoseconds / 1e9 - pauseMs / 1000));
  const percentiles = lagPercentiles.map((percent) => [`p${percent}`, late(looks.percentile(percent))] as const);
  return { max: late(looks.max), ...Object.fromEntries(percentiles) };
}

/**
 * Delays of the event loop since the last scrape, measured until the returned function is called. The
 * metrics of these names in prom-client include the sampling interval, which would hide the delays of an idle loop.
 */
function startEventLoopDelays(registry: Registry): () => void {
  for (const what of ["min", "max", "mean", "stddev", "p50", "p90", "p99"]) {
    registry.removeSingleMetric(`nodejs_eventloop_lag_${what}_seconds`);
  }
  const looks = monitorEventLoopDelay({ resolution: loopResolutionMs });
  looks.enable();
  let lags = eventLoopLags(looks, loopResolutionMs);
  const gauge = (what: string, help: string, collected = () => {}) =>
    new Gauge({
      name: `nodejs_eventloop_lag_${what}_seconds`,
      help,
      registers: [registry],
      collect() {
        collected();
        this.set(lags[what] ?? 0);
      },
    });
  // Metrics are collected in the order of their creation: the first one samples for all.
  gauge("max", "The longest event-loop delay since the last scrape", () => {
    lags = eventLoopLags(looks, loopResolutionMs);
    looks.reset();
  });
  for (const percent of lagPercentiles) {
    gauge(`p${percent}`, `The ${percent}th percentile of event-loop delays since the last scrape`);
  }
  return () => void looks.disable();
}

/** One child per kind, cached: looking it up by label costs more than observing. */
const ofKinds = <T>(make: (typeUrl: string) => T): Readonly<Record<XdsKind, T>> =>
  Object.fromEntries(kinds.map((kind) => [kind, make(typeUrls[kind])])) as Record<XdsKind, T>;

/** The number of resources in a configuration, and their size. */
function sizeOf(config: ProxyConfig): { readonly resources: number; readonly bytes: number } {
  let [resources, bytes] = [0, 0];
  for (const kind of kinds) {
    for (const resource of config[kind].values()) {
      resources += 1;
      bytes += resource.bytes.length;
    }
  }
  return { resources, bytes };
}

/** Starts to measure the process and its event loop; all other metrics are updated by their callers. */
export function startMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: hourMs });
  const stopEventLoopDelays = startEventLoopDelays(registry);

  const generation = new Histogram({
    name: "xds_generation",
    help: "Time to generate the configuration of one proxy, in milliseconds",
    buckets: milliseconds,
    registers,
  });
  const generationErrors = new Counter({
    name: "xds_generation_errors",
    help: "Configurations that could not be generated; the proxies keep their last configuration",
    registers,
  });
  const resources = new Histogram({
    name: "xds_snapshot_resources",
    help: "Resources in the configuration of one proxy, with each one that is generated",
    buckets: counts,
    registers,
  });
  const bytes = new Histogram({
    name: "xds_snapshot_bytes",
    help: "Size of the configuration of one proxy, in bytes, with each one that is generated",
    buckets: sizes,
    registers,
  });
  const delivery = new Histogram({
    name: "xds_delivery",
    help: "Time from a response to the ACK or NACK of the proxy, in milliseconds",
    buckets: milliseconds,
    registers,
  });
  const received = new Counter({
    name: "xds_requests_received",
    help: "ACKs and NACKs of proxies, by the label confirmation",
    labelNames: ["type_url", "confirmation"] as const,
    registers,
  });
  const responses = new Counter({
    name: "xds_responses_sent",
    help: "Responses sent to proxies",
    labelNames: ["type_url"] as const,
    registers,
  });
  const store = new Histogram({
    name: "store",
    help: "Time of store operations, in milliseconds",
    buckets: milliseconds,
    labelNames: ["operation", "resource_type"] as const,
    registers,
  });
  const conflicts = new Counter({
    name: "store_conflicts",
    help: "Writes to the store that failed because of a concurrent write",
    labelNames: ["resource_type"] as const,
    registers,
  });

  const podDataplaneWrites = new Counter({
    name: "kubernetes_dataplane_writes",
    help: "Writes of Dataplanes of pods to the API server",
    labelNames: ["operation"] as const,
    registers,
  });
  const podDataplaneFailures = new Counter({
    name: "kubernetes_dataplane_failures",
    help: "Attempts to write the Dataplane of a pod that failed and are retried",
    registers,
  });

  const requestRefusals = new Counter({
    name: "http_requests_refused",
    help: "HTTP requests rejected because of their host, source address, proxy, or old client",
    labelNames: ["reason"] as const,
    registers,
  });
  for (const reason of ["host", "address", "proxy", "old"] as const) requestRefusals.inc({ reason }, 0);

  const listenerReports = new Counter({
    name: "listener_reports",
    help: "Reports of Envoys that could not create a listener; missing: the Envoy lacks listeners that it acknowledged",
    labelNames: ["result"] as const,
    registers,
  });
  for (const result of reportResults) listenerReports.inc({ result }, 0);

  const feedFailures = new Counter({
    name: "change_feed_failures",
    help: "Failures of the store's change feed; proxies keep their configuration until the store is listed again",
    registers,
  });
  let making: Promise<string> | undefined;
  let streams = { xds: () => 0, sds: () => 0 };
  let skipped = () => 0;
  for (const [name, help, count] of [
    ["xds_streams_active", "Open discovery streams", () => streams.xds()],
    ["sds_streams_active", "Open secret streams", () => streams.sds()],
    ["store_objects_skipped", "Objects of the Kubernetes API that can't be read", () => skipped()],
  ] as const) {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(count());
      },
    });
  }

  const refusals = new Counter({
    name: "refusals",
    help: "Connections, calls and requests that exceeded a limit and were rejected or delayed",
    labelNames: ["server", "limit"] as const,
    registers,
  });
  const caught = new Counter({
    name: "caught_exceptions",
    help: "Exceptions in network callbacks; each is a bug that closed its peer's connection",
    labelNames: ["server"] as const,
    registers,
  });

  const sent = ofKinds((typeUrl) => responses.labels({ type_url: typeUrl }));
  const acknowledged = ofKinds((typeUrl) => received.labels({ type_url: typeUrl, confirmation: "ACK" }));
  const refused = ofKinds((typeUrl) => received.labels({ type_url: typeUrl, confirmation: "NACK" }));

  // Creates the series at the start: Prometheus sees no rate in a series that appears with 1.
  for (const kind of kinds) for (const counter of [sent, acknowledged, refused]) counter[kind].inc(0);

  /** When the unacknowledged response of a kind was sent, by stream. */
  const underway = new Map<string, Partial<Record<XdsKind, number>>>();

  function answered(id: string, kind: XdsKind, at: Date): void {
    const since = underway.get(id)?.[kind];
    if (since !== undefined) delivery.observe(Math.max(0, at.getTime() - since));
  }

  return {
    observer: {
      opened: ({ id }) => void underway.set(id, {}),
      sent(id, kind, at) {
        sent[kind].inc();
        const times = underway.get(id);
        if (times !== undefined) times[kind] = at.getTime();
      },
      acknowledged(id, kind, at) {
        acknowledged[kind].inc();
        answered(id, kind, at);
      },
      rejected(id, kind, at) {
        refused[kind].inc();
        answered(id, kind, at);
      },
      refusing() {},
      closed: (id) => void underway.delete(id),
    },
    measured: (generate) => (proxy, mesh, placement, before) => {
      const begun = performance.now();
      try {
        const generated = generate(proxy, mesh, placement, before);
        if (generated === undefined) return undefined;
        generation.observe(performance.now() - begun);
        const size = sizeOf(generated.config);
        resources.observe(size.resources);
        bytes.observe(size.bytes);
        return generated;
      } catch (error) {
        generationErrors.inc();
        throw error;
      }
    },
    storeOperation: (operation, type, took) => store.labels({ operation, resource_type: type }).observe(took),
    podDataplaneWritten: (operation) => podDataplaneWrites.labels({ operation }).inc(),
    podDataplaneFailed: () => podDataplaneFailures.inc(),
    storeConflict: (type) => conflicts.labels({ resource_type: type }).inc(),
    incidents(server, limits) {
      for (const limit of limits) refusals.labels({ server, limit }).inc(0);
      const exceptions = caught.labels({ server });
      exceptions.inc(0);
      return {
        refused: (limit) => refusals.labels({ server, limit }).inc(),
        caught: () => exceptions.inc(),
      };
    },
    listenersReported: (result) => listenerReports.inc({ result }),
    feedFailed: () => feedFailures.inc(),
    requestRefused: (reason) => requestRefusals.inc({ reason }),
    countStreams(count) {
      streams = count;
    },
    countSkipped(count) {
      skipped = count;
    },
    contentType: registry.contentType,
    text() {
      // Concurrent requests share one result: a hundred at once would block the event loop for a second.
      making ??= registry.metrics().finally(() => {
        making = undefined;
      });
      return making;
    },
    close: stopEventLoopDelays,
  };
}
