import { connectTimeoutMs, type Generator } from "../envoy/generate.js";
import type { ViewFeed } from "../feed/feed.js";
import { bindError } from "../net/listen.js";
import type { Store } from "../store/store.js";
import { startXdsServer, type XdsServer } from "../xds/server.js";
import { createApplicationHealth } from "./application-health.js";
import type { BundledEnvoy } from "./checks/bundled-envoy.js";
import type { InsightRecorder } from "./insights/recorder.js";
import { both } from "./metrics/observers.js";
import { createNewerApi } from "./newer-api.js";
import type { KnownOwnServers } from "./own-servers.js";
import type { StartedSecrets } from "./secrets.js";
import type { StartContext } from "./start-context.js";

interface Parts {
  readonly store: Store;
  readonly feed: ViewFeed;
  readonly insights: InsightRecorder;
  readonly secrets: StartedSecrets;
  readonly own: KnownOwnServers;
  readonly envoy: BundledEnvoy;
  readonly generate: Generator;
}

/**
 * Starts the xDS server, and what records the health of applications that sidecars report to it.
 * @throws UserError when its port can't be had
 */
export async function startDiscovery(
  { settings, logger: root, lifecycle, metrics, defence }: StartContext,
  { store, feed, insights, secrets, own, envoy, generate }: Parts,
): Promise<XdsServer> {
  const logger = root.child("xds-server");
  const health = createApplicationHealth({ store, logger: root.child("health") });
  lifecycle.runs("health of applications", health);
  const newerApi = createNewerApi({ feed, envoy, logger });
  await newerApi.start();
  const server = await startXdsServer({
    port: settings.xdsPort,
    feed: newerApi.feed,
    observer: both(insights, metrics.observer),
    logger,
    health,
    incidents: defence.grpc("xds"),
    firstMessageBytes: settings.maxFirstRequestBytes,
    connectionsPerAddress: settings.maxOpeningConnections,
    generate: metrics.measured((proxy, mesh, placement, before) => {
      if (!newerApi.ready(mesh)) return undefined;
      const present = { newerApi: newerApi.current, ownServers: own.current() };
      return generate(proxy, mesh, { connectTimeoutMs, secretServer: secrets.address, ...present }, placement, before);
    }),
  }).catch((error: unknown) => {
    throw bindError({ port: settings.xdsPort, setting: "KUMA_XDS_SERVER_GRPC_PORT" }, error);
  });
  lifecycle.serves("xDS server", server);
  health.start({
    view: feed.view,
    connected: (id) => server.streams(id).length > 0,
    reports: server.reportsHealth,
  });
  metrics.countStreams({ xds: server.calls, sds: secrets.server.calls });
  return server;
}
