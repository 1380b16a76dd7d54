import { isDeepStrictEqual } from "node:util";
import type { Inbound, Outbound } from "../../resources/dataplane.js";
import { type ObjectName, objectName } from "./object-name.js";
import type { Pod } from "./pod.js";
import { exclusion, inboundsOf, outboundsOf, servicesIn } from "./pod-dataplane.js";
import { type KubeService, selects, serviceTagOf } from "./service.js";
import { belongsToPod, type StoredDataplane } from "./stored-dataplane.js";

/** A pod with the inbounds that follow from it and its Services. */
export interface IndexedPod {
  readonly pod: Pod;
  readonly inbounds: readonly Inbound[];
}

/** What the index finds out from the changes that it is told. */
interface Hears {
  /** The Dataplane of this pod may have to be written. */
  due(name: ObjectName): void;
  /** The outbounds of a mesh may have changed, and with them the Dataplanes of all its pods. */
  outboundsMayDiffer(mesh: string): void;
}

/** What the pod controller knows of the cluster: pods, Services and Dataplanes of all namespaces. */
export interface PodIndex {
  pod(name: ObjectName): IndexedPod | undefined;
  dataplane(name: ObjectName): StoredDataplane | undefined;
  /** Those of every pod of the mesh; the same list until they change. */
  outbounds(mesh: string): readonly Outbound[];
  podsOf(mesh: string): Iterable<ObjectName>;
  /** Pods of the mesh. */
  count(mesh: string): number;
  setPod(pod: Pod): void;
  deletePod(name: ObjectName): void;
  setService(service: KubeService): void;
  deleteService(service: Pick<KubeService, "namespace" | "name">): void;
  setDataplane(dataplane: StoredDataplane): void;
  deleteDataplane(name: ObjectName): void;
  /**
   * Call before a request about a pod's Dataplane, one at a time for each. The function that is returned takes the
   * answer, undefined for none. It counts only if the watch told nothing of this Dataplane meanwhile: that may be newer.
   */
  asking(name: ObjectName): (answer: StoredDataplane | undefined) => void;
  /** The listing replaces everything known of this kind. */
  listPods(pods: readonly Pod[]): void;
  listServices(services: readonly KubeService[]): void;
  listDataplanes(dataplanes: readonly StoredDataplane[]): void;
  /** Whether the last attempt to write a pod's Dataplane failed: then its services count only if they are stored. */
  setFailing(name: ObjectName, failing: boolean): void;
}

interface Offer {
  readonly mesh: string;
  readonly services: ReadonlySet<string>;
}

const nothing: ReadonlySet<string> = new Set();

export function createPodIndex(hears: Hears): PodIndex {
  const pods = new Map<ObjectName, IndexedPod>();
  const podsIn = new Map<string, Set<ObjectName>>();
  const podsOf = new Map<string, Set<ObjectName>>();
  const services = new Map<string, Map<string, KubeService>>();
  const dataplanes = new Map<ObjectName, StoredDataplane>();
  const failing = new Set<ObjectName>();
  /** Requests that wait for their answers. */
  const asked = new Map<ObjectName, { overtaken: boolean }>();
  /** What each pod or Dataplane adds to the services of its mesh. */
  const offers = new Map<ObjectName, Offer>();
  /** How many offer each service, by mesh. */
  const counts = new Map<string, Map<string, number>>();
  /** Current ones only. */
  const outbounds = new Map<string, readonly Outbound[]>();

  function group<K>(groups: Map<K, Set<ObjectName>>, key: K, name: ObjectName, member: boolean): void {
    const members = groups.get(key) ?? new Set();
    if (member) groups.set(key, members.add(name));
    else if (members.delete(name) && members.size === 0) groups.delete(key);
  }

  function outboundsDiffer(mesh: string): void {
    outbounds.delete(mesh);
    hears.outboundsMayDiffer(mesh);
  }

  /**
   * A pod's services count before its Dataplane is written, so that pods that start together have all outbounds from
   * the first write on.
   */
  function offerOf(name: ObjectName): Offer | undefined {
    const indexed = pods.get(name);
    const eligible = indexed !== undefined && exclusion(indexed.pod) === undefined && indexed.inbounds.length > 0;
    if (eligible && !indexed.pod.terminating && !failing.has(name)) {
      return { mesh: indexed.pod.mesh, services: servicesIn(indexed.inbounds) };
    }
    const stored = dataplanes.get(name);
    return stored && { mesh: stored.mesh, services: stored.services };
  }

  function count({ mesh, services: offered }: Offer, by: 1 | -1): boolean {
    const ofMesh = counts.get(mesh) ?? new Map<string, number>();
    let differs = false;
    for (const service of offered) {
      const before = ofMesh.get(service) ?? 0;
      if (before + by === 0) ofMesh.delete(service);
      else ofMesh.set(service, before + by);
      if (before === 0 || before + by === 0) differs = true;
    }
    if (ofMesh.size === 0) counts.delete(mesh);
    else counts.set(mesh, ofMesh);
    return differs;
  }

  function recount(name: ObjectName): void {
    const before = offers.get(name);
    const now = offerOf(name);
    if (isDeepStrictEqual(before, now)) return;
    // In this order a service that stays never counts as gone.
    const differing = new Set<string>();
    if (now !== undefined && count(now, 1)) differing.add(now.mesh);
    if (before !== undefined && count(before, -1)) differing.add(before.mesh);
    if (now === undefined) offers.delete(name);
    else offers.set(name, now);
    for (const mesh of differing) outboundsDiffer(mesh);
  }

  function indexPod(pod: Pod): void {
    const name = objectName(pod.namespace, pod.name);
    pods.set(name, { pod, inbounds: inboundsOf(pod, services.get(pod.namespace)?.values() ?? []) });
    recount(name);
    hears.due(name);
  }

  function setPod(pod: Pod): void {
    const name = objectName(pod.namespace, pod.name);
    const before = pods.get(name);
    // Kubelets write to the status of a pod often, mostly what does not concern a Dataplane.
    if (before !== undefined && isDeepStrictEqual(before.pod, pod)) return;
    if (before !== undefined && before.pod.mesh !== pod.mesh) group(podsOf, before.pod.mesh, name, false);
    group(podsOf, pod.mesh, name, true);
    group(podsIn, pod.namespace, name, true);
    indexPod(pod);
  }

  function deletePod(name: ObjectName): void {
    const indexed = pods.get(name);
    if (indexed === undefined) return;
    pods.delete(name);
    failing.delete(name);
    group(podsOf, indexed.pod.mesh, name, false);
    group(podsIn, indexed.pod.namespace, name, false);
    recount(name);
    hears.due(name);
  }

  function reindex(namespace: string, concerned: (pod: Pod) => boolean): void {
    for (const name of podsIn.get(namespace) ?? []) {
      const indexed = pods.get(name);
      if (indexed === undefined || !concerned(indexed.pod)) continue;
      const inbounds = inboundsOf(indexed.pod, services.get(namespace)?.values() ?? []);
      if (isDeepStrictEqual(inbounds, indexed.inbounds)) continue;
      pods.set(name, { pod: indexed.pod, inbounds });
      recount(name);
      hears.due(name);
    }
  }

  function replaceService({ namespace, name }: Pick<KubeService, "namespace" | "name">, now: KubeService | undefined) {
    const inNamespace = services.get(namespace) ?? new Map<string, KubeService>();
    const before = inNamespace.get(name);
    if (isDeepStrictEqual(before, now)) return;
    if (now === undefined) inNamespace.delete(name);
    else inNamespace.set(name, now);
    if (inNamespace.size === 0) services.delete(namespace);
    else services.set(namespace, inNamespace);
    const both = [before, now].flatMap((service) => service ?? []);
    reindex(namespace, ({ labels }) => both.some((service) => selects(service, labels)));
    // Its address or its ports may have changed; the inbounds alone don't tell that.
    const tags = both.flatMap((service) => service.ports.map(({ port }) => serviceTagOf(service, port)));
    for (const [mesh, offered] of counts) if (tags.some((tag) => offered.has(tag))) outboundsDiffer(mesh);
  }

  const setService = (service: KubeService) => replaceService(service, service);
  const deleteService = (service: Pick<KubeService, "namespace" | "name">) => replaceService(service, undefined);

  function overtake(name: ObjectName): void {
    const request = asked.get(name);
    if (request !== undefined) request.overtaken = true;
  }

  function asking(name: ObjectName): (answer: StoredDataplane | undefined) => void {
    const request = { overtaken: false };
    asked.set(name, request);
    return (answer) => {
      if (asked.get(name) === request) asked.delete(name);
      if (request.overtaken) {
        // Whatever is known now is not what the request was about.
        if (pods.has(name)) hears.due(name);
      } else if (answer === undefined) deleteDataplane(name);
      else setDataplane(answer);
    };
  }

  function setDataplane(dataplane: StoredDataplane): void {
    const name = objectName(dataplane.namespace, dataplane.name);
    overtake(name);
    dataplanes.set(name, dataplane);
    recount(name);
    // Reverts what a user changed. For what this controller wrote itself nothing differs.
    if (pods.has(name) || belongsToPod(dataplane)) hears.due(name);
  }

  function deleteDataplane(name: ObjectName): void {
    overtake(name);
    if (!dataplanes.delete(name)) return;
    recount(name);
    if (pods.has(name)) hears.due(name);
  }

  return {
    pod: (name) => pods.get(name),
    dataplane: (name) => dataplanes.get(name),
    outbounds(mesh) {
      let current = outbounds.get(mesh);
      if (current === undefined) {
        const offered = counts.get(mesh)?.keys() ?? nothing;
        current = outboundsOf(offered, (namespace, name) => services.get(namespace)?.get(name));
        outbounds.set(mesh, current);
      }
      return current;
    },
    podsOf: (mesh) => podsOf.get(mesh) ?? [],
    count: (mesh) => podsOf.get(mesh)?.size ?? 0,
    setPod,
    deletePod,
    setService,
    deleteService,
    setDataplane,
    deleteDataplane,
    asking,
    listPods(items) {
      const listed = new Set(items.map(({ namespace, name }) => objectName(namespace, name)));
      for (const name of [...pods.keys()]) if (!listed.has(name)) deletePod(name);
      items.forEach(setPod);
    },
    listServices(items) {
      const listed = new Set(items.map(({ namespace, name }) => objectName(namespace, name)));
      const known = [...services.values()].flatMap((inNamespace) => [...inNamespace.values()]);
      for (const service of known) {
        if (!listed.has(objectName(service.namespace, service.name))) deleteService(service);
      }
      items.forEach(setService);
    },
    listDataplanes(items) {
      const listed = new Set(items.map(({ namespace, name }) => objectName(namespace, name)));
      for (const name of [...dataplanes.keys()]) if (!listed.has(name)) deleteDataplane(name);
      items.forEach(setDataplane);
    },
    setFailing(name, fails) {
      if (failing.has(name) === fails) return;
      if (fails) failing.add(name);
      else failing.delete(name);
      recount(name);
    },
  };
}
