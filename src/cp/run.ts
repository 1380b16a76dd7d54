import { randomUUID } from "node:crypto";
import path from "node:path";
import type { Logger } from "../lib/logger.js";
import { build } from "../lib/version.js";
import { createSiteGuard } from "../net/cross-site.js";
import { startHttpServer } from "../net/http-server.js";
import { bindError } from "../net/listen.js";
import { registry } from "../resources/registry.js";
import { createMemoryStore } from "../store/memory.js";
import { startXdsServer, type XdsServer } from "../xds/server.js";
import { apiHandler } from "./api/handler.js";
import { bootstrapHandler } from "./bootstrap/handler.js";
import { catalogueDocument } from "./catalogue.js";
import { bundledEnvoy } from "./checks/bundled-envoy.js";
import { specChecks } from "./checks/spec-checks.js";
import { ensureDefaultMesh } from "./default-mesh.js";
import { exposureWarning } from "./exposure.js";
import { healthHandler } from "./health/handler.js";
import { createInsightRecorder } from "./insights/recorder.js";
import { type Settings, settingsDocument } from "./settings.js";

/** A running control plane. */
export interface ControlPlane {
  readonly ports: { readonly api: number; readonly bootstrap: number; readonly xds: number; readonly health: number };
  /** Not ready, GOAWAY, disconnect times written, servers stopped; within two seconds. */
  close(): Promise<void>;
}

/** Changes reach proxies within this, whatever the refresh interval says. */
const longestGatheringMs = 100;

/** grpc-js gives the reason of a failed bind only as text. */
function bindCode(error: unknown): unknown {
  const code = /\bE[A-Z]{5,}\b/.exec(error instanceof Error ? error.message : "")?.[0];
  return code === undefined ? error : Object.assign(new Error(code), { code });
}

/**
 * Starts all servers in the documented order: health first, the others once the store has been listed.
 * @throws UserError when a port can't be had; whatever was started until then has been stopped
 */
export async function startControlPlane(settings: Settings, logger: Logger): Promise<ControlPlane> {
  const servers: { close(): Promise<void> }[] = [];
  const stops: (() => Promise<void>)[] = [];
  const state = { ready: false };
  async function close(): Promise<void> {
    state.ready = false;
    await Promise.all(servers.splice(0).map((server) => server.close()));
    for (const stop of stops.splice(0).reverse()) await stop();
  }

  try {
    const health = await startHttpServer({
      port: settings.diagnosticsPort,
      setting: "KUMA_XDS_SERVER_DIAGNOSTICS_PORT",
      handler: healthHandler(() => state.ready),
      logger: logger.child("xds-server.diagnostics"),
    });
    stops.push(() => health.close());

    const store = createMemoryStore(registry);
    const feed = new AbortController();
    stops.push(async () => {
      feed.abort();
      await store.close();
    });
    await ensureDefaultMesh(store, settings.defaultMesh);

    const instanceId = randomUUID();
    const insights = createInsightRecorder({
      store,
      instanceId,
      flushIntervalMs: settings.statusFlushInterval,
      logger: logger.child("insights"),
      vanished: (id) => id !== instanceId,
    });
    stops.push(() => insights.close());

    const xds: XdsServer = await startXdsServer({
      port: settings.xdsPort,
      changes: store.changes(feed.signal),
      observer: insights,
      logger: logger.child("xds-server"),
      coalesceMaxMs: Math.min(longestGatheringMs, settings.refreshInterval),
    }).catch((error: unknown) => {
      throw bindError({ port: settings.xdsPort, setting: "KUMA_XDS_SERVER_GRPC_PORT" }, bindCode(error));
    });
    servers.push(xds);

    const guard = createSiteGuard({
      allowedDomains: settings.corsAllowedDomains,
      advertisedHostname: settings.advertisedHostname,
    });
    // The catalogue holds the bootstrap server's port, which is only known once it listens.
    const catalogue: { apis?: unknown } = {};
    const bootstrap = await startHttpServer({
      port: settings.bootstrapPort,
      setting: "KUMA_BOOTSTRAP_SERVER_PORT",
      logger: logger.child("bootstrap"),
      handler: bootstrapHandler({
        store,
        guard,
        logger: logger.child("bootstrap"),
        admin: {
          address: settings.adminAddress,
          port: settings.adminPort,
          accessLogPath: settings.adminAccessLogPath,
        },
        xds: {
          host: settings.xdsHost || settings.advertisedHostname,
          port: settings.xdsPortForEnvoy || xds.port,
          connectTimeoutMs: settings.xdsConnectTimeout,
        },
        catalogue,
      }),
    });
    servers.push(bootstrap);
    const { advertisedHostname } = settings;
    Object.assign(catalogue, catalogueDocument({ advertisedHostname, bootstrapPort: bootstrap.port }));

    const api = await startHttpServer({
      port: settings.apiPort,
      host: settings.apiInterface,
      setting: "KUMA_API_SERVER_PORT or KUMA_API_SERVER_INTERFACE",
      logger: logger.child("api-server"),
      handler: apiHandler({
        registry,
        checks: specChecks(bundledEnvoy(path.join(path.dirname(process.execPath), "envoy"))),
        store,
        guard,
        logger: logger.child("api-server"),
        version: build.version,
        readOnly: settings.apiReadOnly,
        catalogue,
        config: settingsDocument(settings),
      }),
    });
    servers.push(api);

    const warning = await exposureWarning(store, settings.apiInterface);
    if (warning !== undefined) logger.info(`warning: ${warning}`);
    state.ready = true;
    return { ports: { api: api.port, bootstrap: bootstrap.port, xds: xds.port, health: health.port }, close };
  } catch (error) {
    await close();
    throw error;
  }
}
