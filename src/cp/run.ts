import { randomUUID } from "node:crypto";
import path from "node:path";
import type { PolicyEffect } from "../envoy/effects/effect.js";
import { policyEffects } from "../envoy/effects/effects.js";
import { createGenerator } from "../envoy/generate.js";
import type { ListenerKind } from "../envoy/listener-kinds/listener-kind.js";
import { listenerKinds } from "../envoy/listener-kinds/listener-kinds.js";
import { startViewFeed, type ViewFeed } from "../feed/feed.js";
import { type Authorities, createAuthorities } from "../identity/authorities.js";
import type { SigningKey } from "../identity/signing-key.js";
import type { Logger } from "../lib/logger.js";
import { type HttpServer, startHttpServer } from "../net/http-server.js";
import { type Registry, registry } from "../resources/registry.js";
import type { OpenedStore } from "../store/kind.js";
import { storeKinds } from "../store/kinds.js";
import type { Store } from "../store/store.js";
import { emptyPolicies } from "../view/policies.js";
import type { SecretObserver } from "../xds/observer.js";
import type { Authenticate } from "../xds/secrets/identities.js";
import { startApi } from "./api/server.js";
import { authenticator } from "./authenticator.js";
import { startBootstrap } from "./bootstrap/server.js";
import { bundledEnvoy } from "./checks/bundled-envoy.js";
import { createDefence } from "./defence.js";
import { startDiscovery } from "./discovery.js";
import { exposureWarning } from "./exposure.js";
import { healthHandler } from "./health/handler.js";
import { startInsights } from "./insights/insights.js";
import { ensureInstallation } from "./installation.js";
import { startKubernetes } from "./kubernetes/start.js";
import { startParts } from "./lifecycle.js";
import { localChanges } from "./local-changes.js";
import { measuredStore } from "./metrics/measured-store.js";
import { startMetrics } from "./metrics/metrics.js";
import { openStore } from "./open-store.js";
import { createOwnServers, type Ports } from "./own-servers.js";
import { createRotations, type Rotations } from "./rotations.js";
import { type StartedSecrets, startSecrets } from "./secrets.js";
import type { Settings } from "./settings.js";
import type { StartContext } from "./start-context.js";
import { retryWhileUnavailable } from "./store-retry.js";
import { chosenKind, type StoreKinds } from "./store-settings.js";
import { startTokenServers, type TokenServers } from "./tokens/servers.js";

/** A running control plane. */
export interface ControlPlane {
  readonly ports: Ports;
  /** Not ready, GOAWAY, disconnect times written, servers stopped; within two seconds. */
  close(): Promise<void>;
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
 * @throws UserError when a port can't be had, or the store can't be opened; whatever was started has been stopped
 */
export async function startControlPlane(
  settings: Settings,
  logger: Logger,
  signal: AbortSignal,
  more: Partial<Kinds> = {},
): Promise<ControlPlane> {
  const kinds = { ...ours, ...more };
  const generate = createGenerator(kinds.effects, kinds.listeners);
  const envoy = bundledEnvoy(path.join(path.dirname(process.execPath), "envoy"));
  const own = createOwnServers(settings);
  const readiness: Readiness = { ready: () => false };
  await chosenKind(kinds.stores, settings).check?.(settings);
  return startParts(logger, async (lifecycle) => {
    const metrics = lifecycle.runs("metrics", startMetrics());
    const defence = await createDefence(settings, metrics);
    const context = { settings, logger, signal, lifecycle, metrics, defence };

    const health = await startHealth(context, readiness);
    const { store, instances, leadership, kubernetes: access } = await startStore(context, kinds);
    const authorities = createAuthorities(store, authoritySettings(settings), logger.child("identity"));
    // On Kubernetes controllers see to it, once the webhooks that such writes pass through are served.
    const signingKey =
      settings.environment === "kubernetes"
        ? undefined
        : await retryWhileUnavailable(() => ensureInstallation(context, { store, authorities }), logger, signal);
    const insights = startInsights(context, { store, instances, leadership });
    const feed = await startView(context, { store, registry: kinds.registry });
    const tokens = signingKey && (await startTokens(context, { store, key: signingKey }));
    const authenticate = authenticator(context, access, signingKey);
    const secrets = await startSecretServer(context, { store, feed, authorities, authenticate, observer: insights });
    const xds = await startDiscovery(context, { store, feed, insights, secrets, own, envoy, generate });
    const rotations = startRotations(context, { store, feed, authorities });
    const bootstrap = await startBootstrap(context, { store, instances, insights, xds, tokens });
    const { catalogue } = bootstrap;
    const inspected = { store, instances, feed, authorities, rotations, secrets, xds, own, envoy, catalogue };
    const api = await startApi(context, { kinds, ...inspected, access });
    const admission = await startKubernetes(context, { ...inspected, access, registry: kinds.registry, leadership });

    const warning = exposureWarning(settings);
    if (warning !== undefined) logger.warn(warning);
    const ports: Ports = {
      api: api.port,
      bootstrap: bootstrap.port,
      xds: xds.port,
      sds: secrets.server.port,
      health: health.port,
      localTokens: tokens?.localPort,
      publicTokens: tokens?.publicPort,
      admission,
    };
    own.opened(ports);
    readiness.ready = () => store.available && feed.current();
    async function close(): Promise<void> {
      readiness.ready = () => false;
      await lifecycle.close();
    }
    return { ports, close };
  });
}

/** What `/ready` asks; false until everything is started. */
interface Readiness {
  ready: () => boolean;
}

const authoritySettings = ({ caKeyType: keyType, workloadCertValidity: validityMs }: Settings) => ({
  keyType,
  validityMs,
});

async function startHealth(
  { settings, logger, lifecycle, metrics, defence }: StartContext,
  readiness: Readiness,
): Promise<HttpServer> {
  const server = await startHttpServer({
    port: settings.diagnosticsPort,
    setting: "KUMA_XDS_SERVER_DIAGNOSTICS_PORT",
    layers: [defence.knownHosts],
    handler: healthHandler(() => readiness.ready(), metrics),
    logger: logger.child("xds-server.diagnostics"),
    incidents: defence.http("diagnostics"),
  });
  // Closed after everything else, and not with the other servers: until then it says that this one is not ready.
  return lifecycle.runs("health server", server);
}

async function startStore(
  { settings, logger, signal, lifecycle, metrics }: StartContext,
  { stores, registry }: Pick<Kinds, "stores" | "registry">,
): Promise<OpenedStore> {
  const opened = await openStore(settings, stores, registry, randomUUID(), logger.child("store"), signal);
  const { kubernetes } = opened;
  if (kubernetes !== undefined)
    metrics.countSkipped(() => kubernetes.skipped().filter(({ effect }) => effect === "none").length);
  return { ...opened, store: lifecycle.runs("store", measuredStore(opened.store, metrics)) };
}

/** Changes reach proxies within this, whatever the refresh interval says. */
const longestGatheringMs = 100;

async function startView(
  { settings, logger, lifecycle, metrics }: StartContext,
  { store, registry }: { readonly store: Store; readonly registry: Registry },
): Promise<ViewFeed> {
  const feed = await startViewFeed({
    changes: store.changes,
    policies: emptyPolicies(registry.policies),
    failed: metrics.feedFailed,
    logger: logger.child("view"),
    coalesceMaxMs: Math.min(longestGatheringMs, settings.refreshInterval),
  });
  return lifecycle.runs("view", feed);
}

async function startTokens(
  { settings, logger, lifecycle, metrics, defence }: StartContext,
  { store, key }: { readonly store: Store; readonly key: SigningKey },
): Promise<TokenServers> {
  const servers = await startTokenServers({
    settings,
    store,
    key,
    allowedOrigins: defence.allowed,
    refused: metrics.requestRefused,
    incidents: defence.http("tokens"),
    localLayers: localChanges(settings, "dataplane token server", metrics.requestRefused),
    logger: logger.child("dataplane-token-server"),
  });
  return lifecycle.serves("token servers", servers);
}

interface Trust {
  readonly store: Store;
  readonly feed: ViewFeed;
  readonly authorities: Authorities;
}

async function startSecretServer(
  { settings, logger, signal, lifecycle, defence }: StartContext,
  parts: Trust & { readonly authenticate: Authenticate; readonly observer: SecretObserver },
): Promise<StartedSecrets> {
  const options = { ...parts, settings, logger: logger.child("sds-server"), incidents: defence.grpc("sds") };
  const secrets = await retryWhileUnavailable(() => startSecrets(options), logger, signal);
  lifecycle.serves("SDS server", secrets.server);
  return secrets;
}

function startRotations({ settings, logger, lifecycle }: StartContext, { store, feed, authorities }: Trust): Rotations {
  const rotations = createRotations({
    // Two turns of the recorder, since the first may have begun a moment too early.
    insightsLagMs: 2 * settings.statusFlushInterval,
    store,
    feed,
    authorities,
    ...authoritySettings(settings),
    logger: logger.child("identity"),
  });
  lifecycle.runs("rotations", rotations);
  rotations.start();
  return rotations;
}
