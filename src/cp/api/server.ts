import type { ViewFeed } from "../../feed/feed.js";
import type { Authorities } from "../../identity/authorities.js";
import { build } from "../../lib/version.js";
import { errorReply } from "../../net/exchange.js";
import { type HttpServer, startHttpServer } from "../../net/http-server.js";
import type { Registry } from "../../resources/registry.js";
import type { Instances } from "../../store/instances.js";
import type { KubernetesAccess } from "../../store/kind.js";
import type { Store } from "../../store/store.js";
import type { XdsServer } from "../../xds/server.js";
import type { BundledEnvoy } from "../checks/bundled-envoy.js";
import { specChecks } from "../checks/spec-checks.js";
import { createDiagnosis } from "../explain/diagnosis.js";
import { createKubernetesStatus } from "../kubernetes/status.js";
import { localChanges } from "../local-changes.js";
import type { KnownOwnServers } from "../own-servers.js";
import type { Rotations } from "../rotations.js";
import type { StartedSecrets } from "../secrets.js";
import { settingsDocument, tableWith } from "../settings.js";
import type { StartContext } from "../start-context.js";
import { createStatus } from "../status.js";
import type { StoreKinds } from "../store-settings.js";
import { apiHandler } from "./handler.js";

interface Parts {
  readonly kinds: { readonly stores: StoreKinds; readonly registry: Registry };
  readonly store: Store;
  readonly instances: Instances;
  readonly feed: ViewFeed;
  readonly authorities: Authorities;
  readonly rotations: Rotations;
  readonly secrets: StartedSecrets;
  readonly xds: XdsServer;
  readonly own: KnownOwnServers;
  readonly envoy: BundledEnvoy;
  readonly catalogue: unknown;
  /** Undefined where the control plane does not run on Kubernetes. */
  readonly access: KubernetesAccess | undefined;
}

const readOnlyOnKubernetes = () => errorReply("http.kubernetes", {}, { headers: { Allow: "GET, HEAD" } });

/**
 * Starts the HTTP API's server.
 * @throws UserError when its port can't be had
 */
export async function startApi(
  { settings, logger: root, lifecycle, metrics, defence }: StartContext,
  { kinds, store, instances, feed, authorities, rotations, secrets, xds, own, envoy, catalogue, access }: Parts,
): Promise<HttpServer> {
  const logger = root.child("api-server");
  const { storeType } = settings;
  const { certificate: sdsCertificate } = secrets;
  const handler = apiHandler({
    layers: settings.environment === "kubernetes" ? [] : localChanges(settings, "HTTP API", metrics.requestRefused),
    registry: kinds.registry,
    checks: specChecks(own.current, envoy),
    store,
    guard: defence.guard,
    logger,
    version: build.version,
    readOnly: settings.apiReadOnly,
    ...(settings.environment === "kubernetes" ? { refusal: readOnlyOnKubernetes } : {}),
    catalogue,
    config: settingsDocument(settings, tableWith(kinds.stores)),
    authorities,
    rotations,
    status: createStatus({
      store,
      storeType,
      sdsCertificate,
      refusals: defence.refusals,
      kubernetes: access && createKubernetesStatus({ access, registry: kinds.registry, instance: instances.own }),
    }),
    unregistered: () => xds.unregistered(),
    diagnosis: createDiagnosis({
      view: feed.view,
      store,
      xds,
      secrets: secrets.server,
      authorities,
      instanceId: instances.own,
      alone: async () => (await instances.running()).size === 1,
    }),
  });
  const server = await startHttpServer({
    port: settings.apiPort,
    host: settings.apiInterface,
    setting: "KUMA_API_SERVER_PORT or KUMA_API_SERVER_INTERFACE",
    layers: [defence.knownHosts],
    logger,
    incidents: defence.http("api"),
    handler,
  });
  return lifecycle.serves("API server", server);
}
