import { randomUUID } from "node:crypto";
import path from "node:path";
import type { PolicyEffect } from "../envoy/effects/effect.js";
import { policyEffects } from "../envoy/effects/effects.js";
import { connectTimeoutMs, createGenerator } from "../envoy/generate.js";
import type { ListenerKind } from "../envoy/listener-kinds/listener-kind.js";
import { listenerKinds } from "../envoy/listener-kinds/listener-kinds.js";
import { followChanges, type ViewFeed } from "../feed/feed.js";
import { type Authorities, createAuthorities } from "../identity/authorities.js";
import { ensureSigningKey } from "../identity/signing-key.js";
import type { Logger } from "../lib/logger.js";
import { build } from "../lib/version.js";
import { createSiteGuard, knownHostsOnly } from "../net/cross-site.js";
import { grpcLimits } from "../net/grpc-limits.js";
import { startHttpServer } from "../net/http-server.js";
import { httpLimitNames } from "../net/limits.js";
import { bindError } from "../net/listen.js";
import { allowedOrigins } from "../net/origins.js";
import { meshType } from "../resources/mesh.js";
import { type Registry, registry } from "../resources/registry.js";
import { storeKinds } from "../store/kinds.js";
import type { Store } from "../store/store.js";
import { emptyPolicies } from "../view/policies.js";
import { xdsLimits } from "../xds/limits.js";
import { startXdsServer, type XdsServer } from "../xds/server.js";
import { apiHandler } from "./api/handler.js";
import { createApplicationHealth } from "./application-health.js";
import { createDuplicates } from "./bootstrap/duplicates.js";
import { bootstrapHandler } from "./bootstrap/handler.js";
import { catalogueDocument } from "./catalogue.js";
import { bundledEnvoy } from "./checks/bundled-envoy.js";
import { specChecks } from "./checks/spec-checks.js";
import { ensureDefaultMesh } from "./default-mesh.js";
import { createDiagnosis } from "./explain/diagnosis.js";
import { exposureWarning } from "./exposure.js";
import { healthHandler } from "./health/handler.js";
import { followInstances } from "./insights/abandoned.js";
import { startCollector } from "./insights/collector.js";
import { createPresence } from "./insights/presence.js";
import { createInsightRecorder } from "./insights/recorder.js";
import { localChanges } from "./local-changes.js";
import { measuredStore } from "./metrics/measured-store.js";
import { createMetrics } from "./metrics/metrics.js";
import { both } from "./metrics/observers.js";
import { followNewerApi } from "./newer-api.js";
import { openStore } from "./open-store.js";
import { createOwnServers } from "./own-servers.js";
import { patiently } from "./patience.js";
import { createRecentRefusals } from "./recent-refusals.js";
import { createRotations } from "./rotations.js";
import { hostForEnvoy, isHostUnset, startSecrets } from "./secrets.js";
import { originsVariable, type Settings, settingsDocument, tableWith } from "./settings.js";
import { createStatus } from "./status.js";
import type { StoreKinds } from "./store-settings.js";
import { startTokenServers } from "./tokens/servers.js";

/** A running control plane. */
export interface ControlPlane {
  readonly ports: {
    readonly api: number;
    readonly bootstrap: number;
    readonly xds: number;
    readonly sds: number;
    readonly health: number;
    /** Undefined for token servers that don't run. */
    readonly localTokens: number | undefined;
    readonly publicTokens: number | undefined;
  };
  /** Not ready, GOAWAY, disconnect times written, servers stopped; within two seconds. */
  close(): Promise<void>;
}

/** Changes reach proxies within this, whatever the refresh interval says. */
const longestGatheringMs = 100;

/** A kuma-dp doesn't wait longer for its bootstrap because its last connection to another instance may have just ended. */
const longestPresenceLagMs = 2_000;

/** Makes sure that the store has what every installation has; returns the key that signs tokens, if there are any. */
async function furnish(store: Store, authorities: Authorities, settings: Settings, logger: Logger) {
  const [signingKey] = await Promise.all([
    settings.tokenServerEnabled ? ensureSigningKey(store) : undefined,
    ensureDefaultMesh(store, settings.defaultMesh, authorities),
  ]);
  // Meshes of a store that an older version wrote, or whose creation was cut short, get theirs now.
  for (const { name } of await store.list(meshType)) {
    if (await authorities.ensure(name)) {
      logger.info("made the certificate authority that was missing", { mesh: name });
    }
  }
  return signingKey;
}

/** What a control plane grows by, each a list of values. */
interface Kinds {
  /** The stores that `storeType` may name. */
  readonly stores: StoreKinds;
  readonly registry: Registry;
  /** Of the policies in the registry. */
  readonly effects: readonly PolicyEffect[];
  readonly listeners: readonly ListenerKind[];
}

const ours: Kinds = { stores: storeKinds, registry, effects: policyEffects, listeners: listenerKinds };

/**
 * Starts all servers in the documented order: health first, the others once the store has been listed.
 * @param signal ends the wait for a store that is not there yet
 * @param more the kinds of something, where they are others than those of this program
 * @throws UserError when a port can't be had; whatever was started until then has been stopped
 */
export async function startControlPlane(
  settings: Settings,
  logger: Logger,
  signal: AbortSignal,
  more: Partial<Kinds> = {},
): Promise<ControlPlane> {
  const kinds = { ...ours, ...more };
  const generate = createGenerator(kinds.effects, kinds.listeners);
  const servers: { close(): Promise<void> }[] = [];
  const stops: (() => Promise<void>)[] = [];
  const state: { ready: boolean; store?: Store; view?: ViewFeed } = { ready: false };
  async function close(): Promise<void> {
    state.ready = false;
    await Promise.all(servers.splice(0).map((server) => server.close()));
    for (const stop of stops.splice(0).reverse()) await stop();
  }

  const metrics = createMetrics();
  const allowed = await allowedOrigins(settings.corsAllowedDomains, originsVariable);
  const guard = createSiteGuard({ allowed, advertisedHostname: settings.advertisedHostname });
  const refusals = createRecentRefusals();
  const incidents = (server: string, limits: readonly string[]) =>
    refusals.watch(server, metrics.incidents(server, limits));
  const httpIncidents = (server: string) => incidents(server, httpLimitNames);
  const knownHosts = knownHostsOnly(guard, metrics.requestRefused);
  const own = createOwnServers(settings);
  try {
    const health = await startHttpServer({
      port: settings.diagnosticsPort,
      setting: "KUMA_XDS_SERVER_DIAGNOSTICS_PORT",
      layers: [knownHosts],
      handler: healthHandler(
        () => state.ready && state.store?.available === true && state.view?.current() === true,
        metrics,
      ),
      logger: logger.child("xds-server.diagnostics"),
      incidents: httpIncidents("diagnostics"),
    });
    stops.push(() => health.close());

    const instanceId = randomUUID();
    const opened = await openStore(settings, kinds.stores, kinds.registry, instanceId, logger.child("store"), signal);
    const { instances, leadership } = opened;
    const store = measuredStore(opened.store, metrics);
    state.store = store;
    stops.push(() => store.close());
    const { caKeyType: keyType, workloadCertValidity: validityMs } = settings;
    const authorities = createAuthorities(store, { keyType, validityMs }, logger.child("identity"));
    const signingKey = await patiently(() => furnish(store, authorities, settings, logger), logger, signal);

    const insights = createInsightRecorder({
      store,
      instances,
      flushIntervalMs: settings.statusFlushInterval,
      logger: logger.child("insights"),
    });
    stops.push(() => insights.close());
    followInstances({ store, instances, logger: logger.child("insights"), rewrite: insights.rewrite });
    if (settings.dataplaneCleanupAge > 0) {
      const collector = startCollector({
        store,
        leadership,
        ageMs: settings.dataplaneCleanupAge,
        isOpenHere: (proxy) => insights.openSince(proxy).length > 0,
        logger: logger.child("insights"),
      });
      stops.push(async () => collector.close());
    }

    const view = await followChanges({
      changes: store.changes,
      policies: emptyPolicies(kinds.registry.policies),
      failed: metrics.feedFailed,
      logger: logger.child("view"),
      coalesceMaxMs: Math.min(longestGatheringMs, settings.refreshInterval),
    });
    state.view = view;
    stops.push(async () => view.close());
    const tokens =
      signingKey &&
      (await startTokenServers({
        settings,
        store,
        key: signingKey,
        allowedOrigins: allowed,
        refused: metrics.requestRefused,
        incidents: httpIncidents("tokens"),
        localLayers: localChanges(settings, "dataplane token server", metrics.requestRefused),
        logger: logger.child("dataplane-token-server"),
      }));
    if (tokens !== undefined) servers.push(tokens);

    const secretsOptions = {
      settings,
      store,
      feed: view,
      authorities,
      signingKey,
      observer: insights,
      logger: logger.child("sds-server"),
      incidents: incidents("sds", [...Object.keys(grpcLimits), ...Object.keys(xdsLimits)]),
    };
    const secrets = await patiently(() => startSecrets(secretsOptions), logger, signal);
    servers.push(secrets.server);
    const applications = createApplicationHealth({ store, logger: logger.child("health") });
    stops.push(async () => applications.close());
    const envoy = bundledEnvoy(path.join(path.dirname(process.execPath), "envoy"));
    const newerApi = followNewerApi({ feed: view, envoy, logger: logger.child("xds-server") });
    await newerApi.settle();
    const xds: XdsServer = await startXdsServer({
      port: settings.xdsPort,
      feed: newerApi.feed,
      observer: both(insights, metrics.observer),
      logger: logger.child("xds-server"),
      health: applications,
      incidents: incidents("xds", [...Object.keys(grpcLimits), ...Object.keys(xdsLimits)]),
      firstMessageBytes: settings.maxFirstRequestBytes,
      connectionsPerAddress: settings.maxOpeningConnections,
      generate: metrics.measured((proxy, mesh, placement, before) => {
        if (!newerApi.ready(mesh)) return undefined;
        const surroundings = {
          connectTimeoutMs,
          secretServer: secrets.address,
          newerApi: newerApi.current,
          ownServers: own.current(),
        };
        return generate(proxy, mesh, surroundings, placement, before);
      }),
    }).catch((error: unknown) => {
      throw bindError({ port: settings.xdsPort, setting: "KUMA_XDS_SERVER_GRPC_PORT" }, error);
    });
    servers.push(xds);
    applications.sweepLater({
      view: view.view,
      connected: (id) => xds.streams(id).length > 0,
      reports: xds.reportsHealth,
    });
    metrics.countStreams({ xds: xds.calls, sds: secrets.server.calls });
    const rotations = createRotations({
      // Two turns of the recorder, since the first may have begun a moment too early.
      insightsLagMs: 2 * settings.statusFlushInterval,
      store,
      feed: view,
      authorities,
      keyType,
      validityMs,
      logger: logger.child("identity"),
    });
    stops.push(async () => rotations.close());

    const presence = createPresence({
      store,
      instances,
      openSince: insights.openSince,
      lagMs: Math.min(2 * settings.statusFlushInterval, longestPresenceLagMs),
    });
    // The catalogue holds the bootstrap server's port, which is only known once it listens.
    const catalogue: { apis?: unknown } = {};
    const bootstrap = await startHttpServer({
      port: settings.bootstrapPort,
      setting: "KUMA_BOOTSTRAP_SERVER_PORT",
      layers: [knownHosts],
      logger: logger.child("bootstrap"),
      incidents: httpIncidents("bootstrap"),
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
          host: hostForEnvoy(settings),
          port: settings.xdsPortForEnvoy || xds.port,
          connectTimeoutMs: settings.xdsConnectTimeout,
        },
        hostUnset: isHostUnset(settings),
        catalogue,
        findDuplicate: createDuplicates({ presence, logger: logger.child("bootstrap") }),
        listeners: { compare: xds.compareListeners, reported: metrics.listenersReported },
        refused: metrics.requestRefused,
      }),
    });
    servers.push(bootstrap);
    const { advertisedHostname } = settings;
    Object.assign(
      catalogue,
      catalogueDocument({
        advertisedHostname,
        bootstrapPort: bootstrap.port,
        localTokenPort: tokens?.localPort,
        publicTokenPort: tokens?.publicPort,
      }),
    );

    const api = await startHttpServer({
      port: settings.apiPort,
      host: settings.apiInterface,
      setting: "KUMA_API_SERVER_PORT or KUMA_API_SERVER_INTERFACE",
      layers: [knownHosts],
      logger: logger.child("api-server"),
      incidents: httpIncidents("api"),
      handler: apiHandler({
        layers: localChanges(settings, "HTTP API", metrics.requestRefused),
        registry: kinds.registry,
        checks: specChecks(own.current, envoy),
        store,
        guard,
        logger: logger.child("api-server"),
        version: build.version,
        readOnly: settings.apiReadOnly,
        catalogue,
        config: settingsDocument(settings, tableWith(kinds.stores)),
        authorities,
        rotations,
        status: createStatus({
          store,
          storeType: settings.storeType,
          sdsCertificate: secrets.certificate,
          refusals,
        }),
        unregistered: () => xds.unregistered(),
        diagnosis: createDiagnosis({
          view: view.view,
          store,
          xds,
          secrets: secrets.server,
          authorities,
          instanceId,
          alone: async () => (await instances.running()).size === 1,
        }),
      }),
    });
    servers.push(api);

    const warning = exposureWarning(settings);
    if (warning !== undefined) logger.info(`warning: ${warning}`);
    const ports = {
      api: api.port,
      bootstrap: bootstrap.port,
      xds: xds.port,
      sds: secrets.server.port,
      health: health.port,
      localTokens: tokens?.localPort,
      publicTokens: tokens?.publicPort,
    };
    own.opened(ports);
    state.ready = true;
    return { ports, close };
  } catch (error) {
    await close();
    throw error;
  }
}
