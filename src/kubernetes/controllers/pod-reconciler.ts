import type { KubeClient } from "../../kubeapi/client.js";
import { hasStatus, KubeError } from "../../kubeapi/error.js";
import type { OwnerReference } from "../../kubeapi/object.js";
import type { Dataplane } from "../../resources/dataplane.js";
import { apiVersion, customObjects } from "../custom-objects.js";
import type { EventRecorder } from "./events.js";
import { type ObjectName, objectName, partsOf } from "./object-name.js";
import { type Pod, readPod } from "./pod.js";
import { dataplaneOf, exclusion, type PodDataplane } from "./pod-dataplane.js";
import type { PodIndex } from "./pod-index.js";
import { belongsToPod, fingerprintOf, readStoredDataplane, type StoredDataplane } from "./stored-dataplane.js";

/** The Dataplane of a pod's name belongs to something else, so that the pod can't have one. */
export class ForeignDataplane extends Error {
  constructor({ kind, name }: OwnerReference) {
    super(`the Dataplane of this name is managed by ${kind} "${name}"; delete it, or rename one of the two`);
    this.name = "ForeignDataplane";
  }
}

/** What follows from the pod and its Services is no valid Dataplane. */
export class InvalidDataplane extends Error {
  constructor(problem: string) {
    super(`no valid Dataplane follows from the pod and its Services: ${problem}`);
    this.name = "InvalidDataplane";
  }
}

const plural = "dataplanes";
const pods = (namespace: string) => ({ group: "", version: "v1", plural: "pods", namespace });

/** Others may write between our read and our write this often before the pod waits for its next turn. */
const mostRaces = 5;

const ownerOf = ({ name, uid }: Pod): OwnerReference => ({
  apiVersion: "v1",
  kind: "Pod",
  name,
  uid,
  controller: true,
});

/** Whether the API server refuses because the namespace goes away, and the pod with it. */
const isLeaving = (error: unknown): boolean =>
  hasStatus(error, 404) ||
  (error instanceof KubeError && error.causes.some(({ reason }) => reason === "NamespaceTerminating"));

export interface PodReconcilerOptions {
  readonly client: Pick<KubeClient, "get" | "create" | "patch" | "delete">;
  readonly index: PodIndex;
  readonly events: EventRecorder;
  /** Counts the writes of Dataplanes. */
  readonly wrote?: (operation: "create" | "update" | "delete") => void;
}

/**
 * Makes the Dataplane of a pod what it should be. Safe while another control plane does the same: a write has the
 * version or the uid that was read as its precondition. Nothing is written that is already right.
 * @throws KubeError, ForeignDataplane, InvalidDataplane
 */
export function createPodReconciler(options: PodReconcilerOptions): (name: ObjectName) => Promise<void> {
  const { client, index, events, wrote = () => {} } = options;

  function wantedOf(name: ObjectName): { pod: Pod; wanted: PodDataplane } | undefined {
    const indexed = index.pod(name);
    if (indexed === undefined) return undefined;
    const { pod, inbounds } = indexed;
    return { pod, wanted: dataplaneOf(pod, inbounds, index.outbounds(pod.mesh)) };
  }

  function tell(pod: Pod, reason: string, action: string, note: string): void {
    const { namespace, name, uid } = pod;
    const regarding = { apiVersion: "v1", kind: "Pod", namespace, name, uid };
    events.record({ regarding, type: "Normal", reason, action, note });
  }

  /** Reads the Dataplane again after a lost race. */
  async function reread(name: ObjectName): Promise<void> {
    const { namespace, name: own } = partsOf(name);
    const answered = index.asking(name);
    const current = await client.get(customObjects(plural, namespace), own);
    answered(current && readStoredDataplane(current));
  }

  async function create(pod: Pod, mesh: string, spec: Dataplane): Promise<void> {
    const { namespace, name } = pod;
    const metadata = { namespace, name, ownerReferences: [ownerOf(pod)] };
    const object = { apiVersion, kind: "Dataplane", mesh, metadata, spec };
    const answered = index.asking(objectName(namespace, name));
    try {
      answered(readStoredDataplane(await client.create(customObjects(plural, namespace), object)));
    } catch (error) {
      if (isLeaving(error)) return;
      throw error;
    }
    wrote("create");
    tell(pod, "CreatedKumaDataplane", "CreateDataplane", `Created the Dataplane of this pod in mesh "${mesh}"`);
  }

  async function update(pod: Pod, stored: StoredDataplane, mesh: string, spec: Dataplane): Promise<void> {
    const others = stored.owners.filter(({ controller, kind }) => controller !== true && kind !== "Pod");
    const patch = [
      // The precondition: the API server answers 409 if the version is another one by now.
      { op: "add", path: "/metadata/resourceVersion", value: stored.resourceVersion },
      { op: "add", path: "/metadata/ownerReferences", value: [ownerOf(pod), ...others] },
      { op: "add", path: "/mesh", value: mesh },
      { op: "add", path: "/spec", value: spec },
    ];
    const answered = index.asking(objectName(pod.namespace, pod.name));
    answered(readStoredDataplane(await client.patch(customObjects(plural, pod.namespace), pod.name, "json", patch)));
    wrote("update");
    // Outbounds change with every new service of the mesh, which is no news of this pod.
    if (stored.fingerprint?.own === fingerprintOf(spec).own && stored.mesh === mesh) return;
    tell(pod, "UpdatedKumaDataplane", "UpdateDataplane", `Updated the Dataplane of this pod in mesh "${mesh}"`);
  }

  function isRight(pod: Pod, stored: StoredDataplane, mesh: string, spec: Dataplane): boolean {
    return (
      stored.mesh === mesh &&
      stored.fingerprint?.whole === fingerprintOf(spec).whole &&
      stored.controller?.uid === pod.uid &&
      belongsToPod(stored)
    );
  }

  async function write(name: ObjectName, pod: Pod, mesh: string, spec: Dataplane): Promise<void> {
    const stored = index.dataplane(name);
    if (stored === undefined) {
      if (!pod.terminating) await create(pod, mesh, spec);
      return;
    }
    // Its finalizers hold it; the pod gets another one once it is gone.
    if (stored.terminating || isRight(pod, stored, mesh, spec)) return;
    if (stored.controller !== undefined && !belongsToPod(stored)) throw new ForeignDataplane(stored.controller);
    await update(pod, stored, mesh, spec);
  }

  /**
   * Deletes a Dataplane whose pod should have none. The pod is read again first: this index may be a moment behind
   * another control plane that has just made the Dataplane.
   */
  async function remove(name: ObjectName, stored: StoredDataplane): Promise<void> {
    const { namespace, name: own } = partsOf(name);
    const current = await client.get(pods(namespace), own);
    if (current === undefined || !isNews(name, readPod(current))) await removeStored(name, stored);
  }

  /** Whether the pod is another one than the index knows; its event is still to come and brings it here again. */
  function isNews(name: ObjectName, pod: Pod): boolean {
    const indexed = index.pod(name)?.pod;
    return indexed?.uid !== pod.uid || exclusion(indexed) !== exclusion(pod);
  }

  async function removeStored(name: ObjectName, { namespace, name: own, uid }: StoredDataplane): Promise<void> {
    const answered = index.asking(name);
    try {
      await client.delete(customObjects(plural, namespace), own, { uid });
      wrote("delete");
    } catch (error) {
      if (!hasStatus(error, 404)) throw error;
    }
    answered(undefined);
  }

  async function settle(name: ObjectName): Promise<void> {
    const found = wantedOf(name);
    const stored = index.dataplane(name);
    if (found?.wanted.kind === "dataplane") {
      await write(name, found.pod, found.wanted.mesh, found.wanted.spec);
      return;
    }
    if (stored !== undefined && !stored.terminating && belongsToPod(stored)) {
      const current = stored.controller?.uid === found?.pod.uid;
      if (found === undefined || !current || mayGo(found.pod, found.wanted)) await remove(name, stored);
    }
    if (found?.wanted.kind === "invalid") throw new InvalidDataplane(found.wanted.problem);
  }

  /** A pod that terminates, or can't be told apart, keeps what it has: its connections are still open. */
  function mayGo({ terminating }: Pod, wanted: PodDataplane): boolean {
    if (wanted.kind !== "none" || wanted.reason === "no-address") return false;
    return wanted.reason !== "no-service" || !terminating;
  }

  return async (name) => {
    for (let races = 0; ; races++) {
      try {
        await settle(name);
        return;
      } catch (error) {
        const lost = hasStatus(error, 409) || hasStatus(error, 404);
        if (!lost || races >= mostRaces) throw error;
        await reread(name);
      }
    }
  };
}
