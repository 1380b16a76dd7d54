import { Server, ServerCredentials, type ServiceDefinition } from "@grpc/grpc-js";
import { generate as generateConfig } from "../envoy/generate.js";
import type { Logger } from "../lib/logger.js";
import type { Change } from "../store/store.js";
import { apply, emptyView, type TouchedMeshes } from "../view/apply.js";
import type { View } from "../view/mesh-view.js";
import { type Coalescer, createCoalescer } from "./coalesce.js";
import { type DiscoveryCall, serveDelta } from "./delta.js";
import type { StreamObserver } from "./observer.js";
import { createProxies, type Generate } from "./proxies.js";

export interface XdsServer {
  readonly port: number;
  /** GOAWAY, `closed` for every stream, streams cancelled; within 1.5 seconds. */
  close(): Promise<void>;
}

export interface XdsServerOptions {
  /** 0: any free port. */
  readonly port: number;
  /** Default: all interfaces, IPv4 and IPv6. */
  readonly host?: string;
  /** The store's feed; this server is its only reader. */
  readonly changes: AsyncIterable<Change>;
  readonly observer: StreamObserver;
  readonly logger: Logger;
  /** Longest time that a burst of changes is gathered before proxies hear of it. */
  readonly coalesceMaxMs: number;
  readonly now?: () => Date;
  readonly generate?: Generate;
}

const identity = (bytes: Buffer) => bytes;

/** Messages stay bytes here, so that one that does not decode is our stream's matter, not the transport's. */
const aggregatedDiscovery: ServiceDefinition = {
  DeltaAggregatedResources: {
    path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
    requestStream: true,
    responseStream: true,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  },
};

const quietMs = 10;
const closeMs = 1000;

/** Both families where the machine has IPv6; grpc-js, unlike node:net, doesn't fall back by itself. */
const anyHost = ["[::]", "0.0.0.0"];

async function bindAny(server: Server, hosts: readonly string[], port: number): Promise<number> {
  for (const [index, host] of hosts.entries()) {
    try {
      return await bind(server, host, port);
    } catch (error) {
      const noSuchFamily = error instanceof Error && /EAFNOSUPPORT|EADDRNOTAVAIL/.test(error.message);
      if (!noSuchFamily || index === hosts.length - 1) throw error;
    }
  }
  throw new Error("no host to listen on");
}

/** Listens, or says why not; grpc-js reports a taken port only by its text. */
function bind(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
}

/**
 * Serves ADS from the change feed. Resolves once the feed's first listing has been applied and the port
 * is bound: an empty picture must never reach an Envoy.
 * @throws when the port can't be bound
 */
export async function startXdsServer(options: XdsServerOptions): Promise<XdsServer> {
  const { changes, observer, logger, coalesceMaxMs } = options;
  const now = options.now ?? (() => new Date());
  const proxies = createProxies({ generate: options.generate ?? generateConfig, logger });
  const streams = new Set<() => void>();

  let view: View = emptyView;
  const touched: TouchedMeshes = new Map();
  const coalescers = new Map<string, Coalescer>();

  function flush(mesh: string): void {
    coalescers.delete(mesh);
    const concerned = touched.get(mesh);
    touched.delete(mesh);
    const spec = view.get(mesh)?.mesh?.spec;
    if (concerned?.mesh === true && spec?.mtls?.enabled === true) {
      logger.error("mTLS is enabled but not in this version yet: connections of this mesh are not encrypted", { mesh });
    }
    if (concerned !== undefined) proxies.update(view, mesh, concerned);
  }

  function announce(): void {
    for (const mesh of touched.keys()) {
      let coalescer = coalescers.get(mesh);
      if (coalescer === undefined) {
        coalescer = createCoalescer({ quietMs, maxMs: coalesceMaxMs, flush: () => flush(mesh) });
        coalescers.set(mesh, coalescer);
      }
      coalescer.poke();
    }
  }

  const feed = changes[Symbol.asyncIterator]();
  const listing = await feed.next();
  if (listing.done === true) throw new Error("the change feed ended before its first listing");
  view = apply(view, listing.value, touched);
  for (const mesh of [...touched.keys()]) flush(mesh);

  async function follow(): Promise<void> {
    for (let next = await feed.next(); next.done !== true; next = await feed.next()) {
      view = apply(view, next.value, touched);
      announce();
    }
  }

  const server = new Server({
    "grpc.max_receive_message_length": 4 * 1024 * 1024,
    // A half-open connection would keep its Dataplane "Online" for hours.
    "grpc.keepalive_time_ms": 15_000,
    "grpc.keepalive_timeout_ms": 10_000,
  });
  server.addService(aggregatedDiscovery, {
    DeltaAggregatedResources(call: DiscoveryCall) {
      const end = serveDelta(call, { proxies, observer, logger, now });
      streams.add(end);
      call.on("close", () => streams.delete(end));
    },
  });
  const port = await bindAny(server, options.host === undefined ? anyHost : [options.host], options.port);
  follow().catch((error: unknown) => logger.error("the change feed broke; proxies keep what they have", { error }));

  return {
    port,
    async close() {
      for (const coalescer of coalescers.values()) coalescer.cancel();
      const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      for (const end of [...streams]) end();
      const forced = setTimeout(() => server.forceShutdown(), closeMs);
      await closed;
      clearTimeout(forced);
    },
  };
}
