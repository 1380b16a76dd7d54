import type { ViewFeed } from "../feed/feed.js";
import type { Logger } from "../lib/logger.js";
import { type GrpcCall, type GrpcServer, startGrpcServer } from "../net/grpc-server.js";
import { type Incidents, uncounted } from "../net/incidents.js";
import { delta } from "./configuration/delta.js";
import {
  createProxies,
  type Generate,
  type Proxies,
  type ProxyStream,
  type Unregistered,
} from "./configuration/proxies.js";
import { createSotw } from "./configuration/sotw.js";
import { type Protocol, serveStream } from "./configuration/stream.js";
import { createHealthServer, type HealthObserver, silentHealth } from "./health/server.js";
import type { ProxyId } from "./node.js";
import type { StreamObserver } from "./observer.js";
import { createOldApi } from "./old-api.js";

export interface XdsServer extends GrpcServer {
  /** The streams of a proxy, the newest last; empty when it isn't connected to this control plane. */
  streams(proxy: ProxyId): readonly ProxyStream[];
  /** Compares the listeners that a proxy's Envoy reports with those that it acknowledged; see `Proxies`. */
  readonly compareListeners: Proxies["compareListeners"];
  /** Whether the proxy has a health stream with this control plane. */
  reportsHealth(proxy: ProxyId): boolean;
  /** The proxies connected to this control plane whose Dataplane does not exist. */
  unregistered(): readonly Unregistered[];
}

export interface XdsServerOptions {
  /** 0: any free port. */
  readonly port: number;
  /** Default: all interfaces, IPv4 and IPv6. */
  readonly host?: string;
  readonly feed: Pick<ViewFeed, "view" | "listen">;
  readonly observer: StreamObserver;
  readonly logger: Logger;
  readonly incidents?: Incidents;
  /** Receives the results of the health checks that sidecars make on their applications. */
  readonly health?: HealthObserver;
  /** Maximum size of the first request of a stream, in bytes. */
  readonly firstMessageBytes?: number;
  /** How many connections of one address may be open that have not sent a valid request. */
  readonly connectionsPerAddress?: number;
  readonly generate: Generate;
  readonly now?: () => Date;
}

const healthMethod = "/envoy.service.health.v3.HealthDiscoveryService/StreamHealthCheck";
const service = "/envoy.service.discovery.v3.AggregatedDiscoveryService";

/**
 * Serves ADS from the view. Resolves once the port is bound.
 * @throws when the port can't be bound
 */
export async function startXdsServer(options: XdsServerOptions): Promise<XdsServer> {
  const { feed, observer, logger, generate, incidents = uncounted } = options;
  const { firstMessageBytes: first_message, connectionsPerAddress: perAddress } = options;
  const now = options.now ?? (() => new Date());
  const proxies = createProxies({ view: feed.view, generate, logger });
  const health = createHealthServer({
    view: feed.view,
    observer: options.health ?? silentHealth,
    logger,
    incidents,
    now: () => performance.now(),
  });
  const serve = (call: GrpcCall, protocol: Protocol) =>
    serveStream(call, protocol, { proxies, observer, logger, incidents, now });
  const { port, host } = options;
  const server = await startGrpcServer({
    port,
    host,
    logger,
    incidents,
    limits: {
      ...(first_message === undefined ? {} : { first_message }),
      ...(perAddress === undefined ? {} : { perAddress }),
    },
    unknown: createOldApi(logger, now),
    methods: {
      [healthMethod]: health.serve,
      [`${service}/DeltaAggregatedResources`]: (call) => serve(call, delta),
      [`${service}/StreamAggregatedResources`]: (call) => serve(call, createSotw()),
    },
  });
  const unlisten = feed.listen((mesh, touched) => {
    proxies.update(mesh, touched);
    health.update(mesh, touched);
  });

  return {
    port: server.port,
    calls: () => server.calls() - health.open,
    streams: proxies.streams,
    compareListeners: proxies.compareListeners,
    reportsHealth: health.has,
    unregistered: proxies.unregistered,
    close() {
      unlisten();
      return server.close();
    },
  };
}
