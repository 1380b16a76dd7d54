import { Server, ServerCredentials, type ServiceDefinition } from "@grpc/grpc-js";
import type { Logger } from "../lib/logger.js";
import { delta } from "./delta.js";
import type { ViewFeed } from "./feed.js";
import { bindServer, bytesStream, closeServer, serverOptions } from "./grpc-server.js";
import type { ProxyId } from "./node.js";
import type { StreamObserver } from "./observer.js";
import { createProxies, type Generate, type ProxyStream } from "./proxies.js";
import { createSotw } from "./sotw.js";
import { type DiscoveryCall, type Protocol, serveStream } from "./stream.js";

export interface XdsServer {
  readonly port: number;
  /** The streams of a proxy, the newest last; none when it isn't connected to this control plane. */
  streams(proxy: ProxyId): readonly ProxyStream[];
  /** GOAWAY, `closed` for every stream, streams cancelled; within 1.5 seconds. */
  close(): Promise<void>;
}

export interface XdsServerOptions {
  /** 0: any free port. */
  readonly port: number;
  /** Default: all interfaces, IPv4 and IPv6. */
  readonly host?: string;
  readonly feed: Pick<ViewFeed, "view" | "listen">;
  readonly observer: StreamObserver;
  readonly logger: Logger;
  readonly generate: Generate;
  readonly now?: () => Date;
}

const service = "/envoy.service.discovery.v3.AggregatedDiscoveryService";

const aggregatedDiscovery: ServiceDefinition = {
  DeltaAggregatedResources: bytesStream(`${service}/DeltaAggregatedResources`),
  StreamAggregatedResources: bytesStream(`${service}/StreamAggregatedResources`),
};

/**
 * Serves ADS from the view. Resolves once the port is bound.
 * @throws when the port can't be bound
 */
export async function startXdsServer(options: XdsServerOptions): Promise<XdsServer> {
  const { feed, observer, logger, generate } = options;
  const now = options.now ?? (() => new Date());
  const proxies = createProxies({ view: feed.view, generate, logger });
  const streams = new Set<() => void>();

  function serve(call: DiscoveryCall, protocol: Protocol): void {
    const end = serveStream(call, protocol, { proxies, observer, logger, now });
    streams.add(end);
    call.on("close", () => streams.delete(end));
  }

  const server = new Server(serverOptions);
  server.addService(aggregatedDiscovery, {
    DeltaAggregatedResources: (call: DiscoveryCall) => serve(call, delta),
    StreamAggregatedResources: (call: DiscoveryCall) => serve(call, createSotw()),
  });
  const { port, host } = options;
  const acceptor = await bindServer(server, { port, host, credentials: ServerCredentials.createInsecure(), logger });
  const unlisten = feed.listen((mesh, touched) => proxies.update(mesh, touched));

  return {
    port: acceptor.port,
    streams: proxies.streams,
    async close() {
      unlisten();
      await closeServer(server, acceptor, streams);
    },
  };
}
