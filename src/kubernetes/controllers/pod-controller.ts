import type { KubeClient } from "../../kubeapi/client.js";
import type { Collection } from "../../kubeapi/collection.js";
import { hasStatus, KubeError } from "../../kubeapi/error.js";
import type { KubeObject } from "../../kubeapi/object.js";
import { messageOf } from "../../lib/errors.js";
import type { Logger } from "../../lib/logger.js";
import { shortHash } from "../../lib/short-hash.js";
import { customObjects } from "../custom-objects.js";
import type { EventRecorder } from "./events.js";
import { createMeshUpdates } from "./mesh-updates.js";
import { type ObjectName, objectName, partsOf } from "./object-name.js";
import { readPod } from "./pod.js";
import { createPodIndex } from "./pod-index.js";
import { createPodReconciler, type PodReconcilerOptions } from "./pod-reconciler.js";
import { readService } from "./service.js";
import { readStoredDataplane } from "./stored-dataplane.js";
import { createWatches } from "./watches.js";
import { createWorkQueue } from "./work-queue.js";

interface Options extends Pick<PodReconcilerOptions, "wrote"> {
  readonly client: KubeClient;
  readonly events: EventRecorder;
  /** Plurals of what is recorded about a Dataplane under its own name, and goes with it. */
  readonly beside: readonly string[];
  /** Counts failed attempts to write a Dataplane. */
  readonly couldNot: () => void;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** A part of the control plane that watches the API server and writes to it. */
export interface Controller {
  /** Ends its watches, and waits for the writes that have begun. */
  close(): Promise<void>;
}

const core = (plural: string): Collection => ({ group: "", version: "v1", plural });
const nameOf = ({ metadata }: KubeObject): ObjectName => objectName(metadata.namespace ?? "", metadata.name);

/** Failures in a row after which people are told; before that it may have been a race. */
const toldAfter = 4;
/** How often the log tells of failures, in milliseconds: all pods fail when the webhook of the Dataplanes is away. */
const toldEveryMs = 10_000;

/**
 * Makes the Dataplanes of pods, keeps them current, and deletes those whose pod is gone or has no use for one. Nothing
 * is written before pods, Services and Dataplanes were listed, nor while one of the watches is lost.
 */
export function startPodController(options: Options): Controller {
  const { client, events, beside, couldNot, logger, signal, wrote } = options;
  const published = new Map<string, string>();
  const index = createPodIndex({
    due: (name) => queue.add(name),
    outboundsMayDiffer: (mesh) => updates.request(mesh),
  });
  const updates = createMeshUpdates({
    pods: (mesh) => index.count(mesh),
    update(mesh) {
      const hash = shortHash(JSON.stringify(index.outbounds(mesh)));
      if (published.get(mesh) === hash) return;
      if (index.count(mesh) === 0) published.delete(mesh);
      else published.set(mesh, hash);
      // A pod that starts waits for its Dataplane; the others only miss the newest of many services.
      for (const name of index.podsOf(mesh)) queue.addBulk(name);
    },
  });
  const reconcile = createPodReconciler({ client, index, events, ...(wrote === undefined ? {} : { wrote }) });
  let toldAt = Number.NEGATIVE_INFINITY;

  const queue = createWorkQueue<ObjectName>({
    async work(name) {
      await reconcile(name);
      index.setFailing(name, false);
    },
    failed(name, error, failures) {
      index.setFailing(name, true);
      couldNot();
      if (failures !== toldAfter) return;
      const { namespace, name: own } = partsOf(name);
      const reason = messageOf(error);
      if (performance.now() - toldAt >= toldEveryMs) {
        toldAt = performance.now();
        logger.error("the Dataplane of a pod can't be written; it will be retried", { namespace, pod: own, reason });
      }
      const pod = index.pod(name)?.pod;
      // What only concerns the API server is no news of the pod.
      if (pod === undefined || (error instanceof KubeError && error.status === 0)) return;
      const regarding = { apiVersion: "v1", kind: "Pod", namespace, name: own, uid: pod.uid };
      const note = `The Dataplane of this pod can't be written: ${reason}`;
      events.record({
        regarding,
        type: "Warning",
        reason: "FailedToGenerateKumaDataplane",
        action: "GenerateDataplane",
        note,
      });
    },
  });

  /** What is recorded about a Dataplane goes with it, also where no garbage collector runs. */
  const leftovers = createWorkQueue<ObjectName>({
    async work(name) {
      const { namespace, name: own } = partsOf(name);
      // The index may be a moment behind another control plane that has just made the Dataplane.
      if (index.dataplane(name) !== undefined) return;
      if ((await client.get(customObjects("dataplanes", namespace), own)) !== undefined) return;
      for (const plural of beside) {
        await client.delete(customObjects(plural, namespace), own).catch((error: unknown) => {
          if (!hasStatus(error, 404)) throw error;
        });
      }
    },
    failed(name, error, failures) {
      if (failures === toldAfter) logger.error("the status of a Dataplane can't be deleted", { name, error });
    },
  });

  /** Finds what is left of Dataplanes that were deleted while nobody watched. */
  async function findLeftovers(): Promise<void> {
    for (const plural of beside) {
      const { items } = await client.list(customObjects(plural), { signal });
      for (const item of items) if (index.dataplane(nameOf(item)) === undefined) leftovers.add(nameOf(item));
    }
  }

  queue.pause();
  const watches = createWatches({
    client,
    logger,
    signal,
    // In this order, so that each pod is matched with all Services at once.
    watched: [
      {
        collection: core("services"),
        listed: (items) => index.listServices(items.map(readService)),
        changed: (_type, object) => index.setService(readService(object)),
        deleted: (object) => index.deleteService(readService(object)),
      },
      {
        collection: core("pods"),
        listed: (items) => index.listPods(items.map(readPod)),
        changed: (_type, object) => index.setPod(readPod(object)),
        deleted: (object) => index.deletePod(nameOf(object)),
      },
      {
        collection: customObjects("dataplanes"),
        listed: (items) => index.listDataplanes(items.map(readStoredDataplane)),
        changed: (_type, object) => index.setDataplane(readStoredDataplane(object)),
        deleted(object) {
          index.deleteDataplane(nameOf(object));
          leftovers.add(nameOf(object));
        },
      },
    ],
    current(isCurrent) {
      if (!isCurrent) {
        queue.pause();
        return;
      }
      queue.resume();
      findLeftovers().catch((error: unknown) => logger.debug("could not look for leftovers of Dataplanes", { error }));
    },
  });

  return {
    async close() {
      updates.close();
      await watches.close();
      await Promise.all([queue.close(), leftovers.close()]);
    },
  };
}
