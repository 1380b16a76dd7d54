import { hostname } from "node:os";
import type { Authorities } from "../../identity/authorities.js";
import { createServerCertificate } from "../../identity/server-certificate.js";
import { createEventRecorder } from "../../kubernetes/controllers/events.js";
import { runWhileLeading } from "../../kubernetes/controllers/leader.js";
import { startMeshController } from "../../kubernetes/controllers/mesh-controller.js";
import { startPodController } from "../../kubernetes/controllers/pod-controller.js";
import { startSkippedObjects } from "../../kubernetes/controllers/skipped-objects.js";
import { startWebhookCertificates } from "../../kubernetes/webhook-certificates.js";
import { webhookServers } from "../../kubernetes/webhook-names.js";
import { sleep } from "../../lib/deadline.js";
import type { Registry } from "../../resources/registry.js";
import { authorityName } from "../../resources/secret.js";
import type { KubernetesAccess } from "../../store/kind.js";
import type { Leadership } from "../../store/leadership.js";
import type { StartContext } from "../start-context.js";

interface Parts {
  readonly access: KubernetesAccess;
  readonly registry: Registry;
  readonly leadership: Leadership;
  readonly authorities: Authorities;
}

/** How long ending waits for requests that have begun, in milliseconds: an API server may hang. */
const closeTimeoutMs = 500;

/** Starts what makes Dataplanes of pods and keeps the meshes; it works while this control plane leads. */
export function startControllers(context: StartContext, { access, registry, leadership, authorities }: Parts): void {
  const { settings, lifecycle, metrics } = context;
  const logger = context.logger.child("controllers");
  const { client, systemNamespace, skipped } = access;
  const ofMesh = registry.types.filter(({ scope, kubernetes }) => scope === "mesh" && kubernetes !== undefined);
  const plurals = (types: typeof ofMesh) => types.flatMap(({ kubernetes }) => kubernetes?.plural ?? []);
  const stop = new AbortController();
  const { signal } = stop;
  const events = createEventRecorder({ client, instance: hostname(), logger });
  const running = runWhileLeading({
    leadership,
    logger,
    start: () => [
      startMeshController({
        client,
        systemNamespace,
        template: settings.defaultMesh,
        ensureAuthority: (mesh) => authorities.ensure(mesh),
        authorityName,
        plurals: plurals(ofMesh),
        logger: logger.child("mesh"),
        signal,
      }),
      startPodController({
        client,
        events,
        // What the control plane records about Dataplanes.
        beside: plurals(ofMesh.filter(({ access }) => access !== "full")),
        wrote: metrics.podDataplaneWritten,
        couldNot: metrics.podDataplaneFailed,
        logger: logger.child("pod"),
        signal,
      }),
      startWebhookCertificates({
        client,
        systemNamespace,
        servers: webhookServers,
        create: (hosts, now) => createServerCertificate({ commonName: hosts[0] ?? "kuma", hosts, now }),
        logger: logger.child("webhook-certificates"),
      }),
      startSkippedObjects({ skipped, systemNamespace, events }),
    ],
  });
  lifecycle.runs("controllers", {
    async close() {
      stop.abort();
      events.close();
      const done = new AbortController();
      const late = sleep(closeTimeoutMs, done.signal).catch(() => {});
      await Promise.race([running.close(), late]).finally(() => done.abort());
    },
  });
}
