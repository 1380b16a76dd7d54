import { hostPort } from "../../lib/host.js";
import { type Dataplane, dataplaneType, type Inbound, type Outbound } from "../../resources/dataplane.js";
import { parseOutboundInterface } from "../../resources/interface.js";
import { limits } from "../../resources/schema.js";
import { serviceProblem } from "../../resources/spiffe.js";
import { serviceTag, tagKeyProblem, tagValueProblem } from "../../resources/tags.js";
import type { Pod } from "./pod.js";
import { type KubeService, parseServiceTag, type ServicePort, selects, serviceTagOf } from "./service.js";

/** Why a pod has no Dataplane. */
export type NoDataplane =
  /** It has no sidecar. */
  | "not-injected"
  /** It shares the network of its machine, where no connections are redirected. */
  | "host-network"
  /** It has ended. */
  | "finished"
  /** It will get one. */
  | "no-address"
  /** No port of a Service leads to it. */
  | "no-service";

/** Why the pod can't have a Dataplane whatever its Services are; undefined if it can. */
export function exclusion({ injected, hostNetwork, finished, ip }: Pod): NoDataplane | undefined {
  if (!injected) return "not-injected";
  if (hostNetwork) return "host-network";
  if (finished) return "finished";
  return ip === "" ? "no-address" : undefined;
}

/** The port of the pod that a port of a Service leads to; undefined for a name that no container declares. */
function targetOf({ target }: ServicePort, { ports }: Pod): number | undefined {
  // Declaring a port is optional in Kubernetes.
  if (typeof target === "number") return target;
  return ports.find(({ name, protocol }) => name === target && protocol === "TCP")?.port;
}

/** The labels of a pod as tags: without empty values and others that no tag may have. */
function tagsOf({ labels }: Pod): Record<string, string> {
  const usable = Object.entries(labels).filter(
    ([key, value]) => key !== serviceTag && tagKeyProblem(key) === undefined && tagValueProblem(value) === undefined,
  );
  return Object.fromEntries(usable.slice(0, limits.tags - 1));
}

const byName = (a: KubeService, b: KubeService) => (a.name < b.name ? -1 : 1);

/**
 * The inbounds of a pod: one for each TCP port of a Service that selects it, by the names of the Services.
 * @param services of the pod's namespace; others are ignored
 */
export function inboundsOf(pod: Pod, services: Iterable<KubeService>): Inbound[] {
  const selecting = [...services]
    .filter((service) => service.namespace === pod.namespace && selects(service, pod.labels))
    .sort(byName);
  if (selecting.length === 0) return [];
  const tags = tagsOf(pod);
  return selecting.flatMap((service) =>
    service.ports.flatMap((port) => {
      const target = targetOf(port, pod);
      if (target === undefined) return [];
      const own = { ...tags, [serviceTag]: serviceTagOf(service, port.port) };
      return [{ interface: `${hostPort(pod.ip, target)}:${target}`, tags: own }];
    }),
  );
}

/** The service tags of inbounds, each once. */
export const servicesIn = (inbounds: readonly Inbound[]): ReadonlySet<string> =>
  new Set(inbounds.flatMap(({ tags }) => tags?.[serviceTag] ?? []));

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/**
 * The outbounds of every pod of a mesh: one for each service that has Dataplanes and a virtual address, sorted by
 * service. Services of other forms and those without an address are reached without an outbound.
 * @param services the service tags of the mesh's Dataplanes
 */
export function outboundsOf(
  services: Iterable<string>,
  serviceNamed: (namespace: string, name: string) => KubeService | undefined,
): Outbound[] {
  const outbounds: Outbound[] = [];
  for (const tag of [...new Set(services)].sort(compare)) {
    const address = parseServiceTag(tag);
    const service = address && serviceNamed(address.namespace, address.name);
    if (service?.clusterIp === undefined) continue;
    if (!service.ports.some(({ port }) => port === address?.port)) continue;
    const written = hostPort(service.clusterIp, address?.port ?? 0);
    // One that the validator refuses would block the Dataplanes of the whole mesh.
    if (parseOutboundInterface(written) === undefined || serviceProblem(tag) !== undefined) continue;
    if (tagValueProblem(tag) === undefined) outbounds.push({ interface: written, service: tag });
  }
  return outbounds.slice(0, limits.outbounds);
}

/** The Dataplane that a pod should have, or why it has none. */
export type PodDataplane =
  | { readonly kind: "dataplane"; readonly mesh: string; readonly spec: Dataplane }
  | { readonly kind: "none"; readonly reason: NoDataplane }
  /** What follows from the pod and its Services is no valid Dataplane: `problem` is for people. */
  | { readonly kind: "invalid"; readonly problem: string };

/**
 * The Dataplane of a pod.
 * @param inbounds those of `inboundsOf`
 * @param outbounds those of `outboundsOf`, which the pods of a mesh share
 */
export function dataplaneOf(pod: Pod, inbounds: readonly Inbound[], outbounds: readonly Outbound[]): PodDataplane {
  const excluded = exclusion(pod) ?? (inbounds.length === 0 ? "no-service" : undefined);
  if (excluded !== undefined) return { kind: "none", reason: excluded };
  const { redirectPort } = pod;
  const spec: Dataplane = {
    networking: {
      inbound: inbounds,
      ...(outbounds.length === 0 ? {} : { outbound: outbounds }),
      ...(redirectPort === undefined ? {} : { transparentProxying: redirectPort === 0 ? {} : { redirectPort } }),
    },
  };
  const problems = dataplaneType.validate(spec).map(({ field, message }) => `${field}: ${message}`);
  if (problems.length > 0) return { kind: "invalid", problem: problems.slice(0, 3).join("; ") };
  return { kind: "dataplane", mesh: pod.mesh, spec };
}
