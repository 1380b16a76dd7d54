import type { JsonObject } from "../../lib/json.js";
import { objectIn, objectsIn } from "../fields.js";
import type { SidecarOptions } from "./options.js";
import type { RawPod } from "./pod.js";

/** Connections of the sidecar's own user and group are not redirected, whoever opens them. */
function ownerWarnings(pod: RawPod, container: JsonObject, { uid, gid }: SidecarOptions): string[] {
  const { runAsUser, runAsGroup } = {
    ...objectIn(pod.spec.securityContext),
    ...objectIn(container.securityContext),
  };
  const shared = runAsUser === uid ? `user ${uid}` : runAsGroup === gid ? `group ${gid}` : undefined;
  if (shared === undefined) return [];
  return [`container "${container.name}" runs as ${shared}, like kuma-sidecar: its connections bypass the mesh`];
}

function portWarnings(container: JsonObject, sidecar: SidecarOptions): string[] {
  const taken = new Set<unknown>([sidecar.redirectPort, sidecar.adminPort, sidecar.healthPort]);
  return objectsIn(container.ports)
    .map(({ containerPort }) => containerPort)
    .filter((port) => taken.has(port))
    .map((port) => `container "${container.name}" declares port ${port}, which kuma-sidecar listens on`);
}

/** What will not work in a valid pod, in sentences for its user. */
export function oddities(pod: RawPod, sidecar: SidecarOptions): string[] {
  return [...pod.containers, ...(pod.initContainers ?? [])].flatMap((container) => [
    ...ownerWarnings(pod, container, sidecar),
    ...portWarnings(container, sidecar),
  ]);
}
