import path from "node:path";
import type { ViewFeed } from "../../feed/feed.js";
import { createDefaulter } from "../../kubernetes/admission/defaulter.js";
import { createOwnUser } from "../../kubernetes/admission/own-user.js";
import { createValidator } from "../../kubernetes/admission/validator.js";
import { admissionEndpoint, admissionLimits } from "../../kubernetes/admission-endpoint.js";
import { serveEndpoints } from "../../net/endpoints.js";
import { startHttpServer } from "../../net/http-server.js";
import { readKeyPair } from "../../net/key-pair-files.js";
import { followKeyPair } from "../../net/key-pair-follower.js";
import { meshType } from "../../resources/mesh.js";
import type { Registry } from "../../resources/registry.js";
import type { KubernetesAccess } from "../../store/kind.js";
import type { Store } from "../../store/store.js";
import type { BundledEnvoy } from "../checks/bundled-envoy.js";
import { specChecks } from "../checks/spec-checks.js";
import type { KnownOwnServers } from "../own-servers.js";
import type { StartContext } from "../start-context.js";
import { changeWarnings } from "../warnings/warnings.js";

interface Parts {
  readonly access: KubernetesAccess;
  readonly registry: Registry;
  readonly store: Store;
  readonly feed: ViewFeed;
  readonly own: KnownOwnServers;
  readonly envoy: BundledEnvoy;
}

const certDir = "KUMA_KUBERNETES_ADMISSION_SERVER_CERT_DIR";

/** The paths of the webhooks, as their configurations in the API server name them. */
export const admissionPaths = {
  defaultMesh: "/default-kuma-io-v1alpha1-mesh",
  validate: "/validate-kuma-io-v1alpha1",
} as const;

/**
 * Starts the server for admission webhooks, which only API servers have a use for.
 * @returns its port
 * @throws UserError when its port or its certificate can't be had
 */
export async function startAdmissionServer(context: StartContext, parts: Parts): Promise<number> {
  const { settings, lifecycle, defence } = context;
  const { access, registry, store, feed, own, envoy } = parts;
  const logger = context.logger.child("admission-server");
  const certFile = { path: path.join(settings.admissionCertDir, "tls.crt"), setting: certDir };
  const keyFile = { path: path.join(settings.admissionCertDir, "tls.key"), setting: certDir };
  const initial = await readKeyPair(certFile, keyFile);
  const validate = createValidator({
    registry,
    checks: specChecks(own.current, envoy),
    effects: (change) => changeWarnings(change, store),
    meshExists: async (mesh) => feed.view().get(mesh)?.resource !== undefined,
    ownUser: createOwnUser(access.client),
  });
  const incidents = defence.http("admission");
  const endpoints = [
    admissionEndpoint(admissionPaths.defaultMesh, createDefaulter(meshType), logger, incidents),
    admissionEndpoint(admissionPaths.validate, validate, logger, incidents),
  ];
  const server = await startHttpServer({
    port: settings.admissionPort,
    ...(settings.admissionAddress === "" ? {} : { host: settings.admissionAddress }),
    setting: "KUMA_KUBERNETES_ADMISSION_SERVER_PORT or KUMA_KUBERNETES_ADMISSION_SERVER_ADDRESS",
    layers: [],
    handler: serveEndpoints({ endpoints, layers: [] }),
    logger,
    incidents,
    limits: admissionLimits,
    tls: initial,
  });
  lifecycle.serves("admission server", server);
  const following = new AbortController();
  followKeyPair({ certFile, keyFile, initial, present: server.present, logger }, following.signal);
  lifecycle.runs("certificate of the admission server", { close: () => following.abort() });
  return server.port;
}
