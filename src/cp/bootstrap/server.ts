import { startHttpServer } from "../../net/http-server.js";
import type { Instances } from "../../store/instances.js";
import type { Store } from "../../store/store.js";
import type { XdsServer } from "../../xds/server.js";
import { catalogueDocument } from "../catalogue.js";
import { createPresence } from "../insights/presence.js";
import type { InsightRecorder } from "../insights/recorder.js";
import { hostForEnvoy, isHostUnset } from "../secrets.js";
import type { StartContext } from "../start-context.js";
import type { TokenServers } from "../tokens/servers.js";
import { createDuplicates } from "./duplicates.js";
import { bootstrapHandler } from "./handler.js";

interface Parts {
  readonly store: Store;
  readonly instances: Instances;
  readonly insights: InsightRecorder;
  readonly xds: XdsServer;
  readonly tokens: TokenServers | undefined;
}

/** A kuma-dp doesn't wait longer for its bootstrap because its last connection to another instance may have just ended. */
const longestPresenceLagMs = 2_000;

/**
 * Starts the bootstrap server.
 * @returns its port, and the catalogue of this control plane's servers
 * @throws UserError when its port can't be had
 */
export async function startBootstrap(
  { settings, logger: root, lifecycle, metrics, defence }: StartContext,
  { store, instances, insights, xds, tokens }: Parts,
): Promise<{ readonly port: number; readonly catalogue: unknown }> {
  const logger = root.child("bootstrap");
  const lagMs = Math.min(2 * settings.statusFlushInterval, longestPresenceLagMs);
  const presence = createPresence({ store, instances, openSince: insights.openSince, lagMs });
  // The catalogue holds the bootstrap server's port, which is only known once it listens.
  const catalogue = {};
  const handler = bootstrapHandler({
    store,
    guard: defence.guard,
    logger,
    admin: { address: settings.adminAddress, port: settings.adminPort, accessLogPath: settings.adminAccessLogPath },
    xds: {
      host: hostForEnvoy(settings),
      port: settings.xdsPortForEnvoy || xds.port,
      connectTimeoutMs: settings.xdsConnectTimeout,
    },
    hostUnset: isHostUnset(settings),
    catalogue,
    findDuplicate: createDuplicates({ presence, logger }),
    listeners: { compare: xds.compareListeners, reported: metrics.listenersReported },
    refused: metrics.requestRefused,
  });
  const { bootstrapPort: port, advertisedHostname } = settings;
  const setting = "KUMA_BOOTSTRAP_SERVER_PORT";
  const layers = [defence.knownHosts];
  const server = await startHttpServer({
    port,
    setting,
    layers,
    logger,
    incidents: defence.http("bootstrap"),
    handler,
  });
  lifecycle.serves("bootstrap server", server);
  const ports = { localTokenPort: tokens?.localPort, publicTokenPort: tokens?.publicPort };
  Object.assign(catalogue, catalogueDocument({ advertisedHostname, bootstrapPort: server.port, ...ports }));
  return { port: server.port, catalogue };
}
