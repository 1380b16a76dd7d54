import type { KubeObject } from "../../kubeapi/object.js";
import { readPod } from "../../kubernetes/controllers/pod.js";
import { exclusion, inboundsOf } from "../../kubernetes/controllers/pod-dataplane.js";
import { type KubeService, readService, selects } from "../../kubernetes/controllers/service.js";
import { controllerOf, meshOf } from "../../kubernetes/custom-objects.js";
import { skipReason } from "../../kubernetes/injection/inject.js";
import { readRawPod } from "../../kubernetes/injection/pod.js";
import { type Check, type Outcome, unless } from "./check.js";
import { ofCluster, systemNamespaceOf } from "./installation-checks.js";

/** What is younger than this may not have been worked on yet. */
const settledMs = 60_000;

const placeOf = ({ metadata: { namespace = "", name } }: KubeObject) => `${namespace}/${name}`;

function isSettled({ metadata }: KubeObject, now: Date): boolean {
  const made = Date.parse(metadata.creationTimestamp ?? "");
  return Number.isNaN(made) || now.getTime() - made >= settledMs;
}

/** What the checks of pods are about. */
export interface PodsAndOthers {
  readonly pods: readonly KubeObject[];
  readonly services: readonly KubeObject[];
  readonly dataplanes: readonly KubeObject[];
  /** The only mesh that counts; undefined for all. */
  readonly mesh: string | undefined;
  readonly now: Date;
}

/** Pods with a sidecar that should have a Dataplane and have none: those that never can, and those that wait for it. */
export function podsWithoutDataplane({ pods, services, dataplanes, mesh, now }: PodsAndOthers): {
  readonly never: readonly string[];
  readonly late: readonly string[];
} {
  const inNamespaces = new Map<string, KubeService[]>();
  for (const service of services.map(readService)) {
    const others = inNamespaces.get(service.namespace);
    if (others === undefined) inNamespaces.set(service.namespace, [service]);
    else others.push(service);
  }
  const present = new Set(dataplanes.map(placeOf));
  const [never, late]: [string[], string[]] = [[], []];
  for (const object of pods) {
    const pod = readPod(object);
    if (exclusion(pod) !== undefined || pod.terminating || (mesh !== undefined && pod.mesh !== mesh)) continue;
    const place = placeOf(object);
    const near = inNamespaces.get(pod.namespace) ?? [];
    if (inboundsOf(pod, near).length === 0) {
      const selecting = near.filter((service) => selects(service, pod.labels)).map(({ name }) => name);
      const why =
        selecting.length === 0
          ? "no Service selects it"
          : `no TCP port of Service ${selecting.slice(0, 3).join(", ")} leads to a port of it`;
      never.push(`pod ${place} has a sidecar and no Dataplane, as ${why}: its sidecar gets no configuration`);
    } else if (!present.has(place) && isSettled(object, now)) {
      late.push(`pod ${place} has a sidecar and a Service, but no Dataplane: its events and kuma-cp's log say why`);
    }
  }
  return { never, late };
}

/** Pods that the injector would give a sidecar today, and that have none. */
export function podsWithoutSidecar(
  pods: readonly KubeObject[],
  injected: ReadonlySet<string>,
  systemNamespace: string,
): readonly string[] {
  return pods.flatMap((object) => {
    const { namespace = "" } = object.metadata;
    if (!injected.has(namespace) || namespace === systemNamespace || namespace === "kube-system") return [];
    const { finished, terminating } = readPod(object);
    const pod = readRawPod(object);
    if (finished || terminating || typeof pod === "string" || skipReason(pod) !== undefined) return [];
    return [`pod ${placeOf(object)} has no sidecar, though its namespace has the label for it`];
  });
}

/** Dataplanes that belong to a pod that is gone. */
export function dataplanesWithoutPod({ pods, dataplanes, mesh, now }: PodsAndOthers): readonly string[] {
  const uids = new Map(pods.map((pod) => [placeOf(pod), pod.metadata.uid]));
  return dataplanes.flatMap((object) => {
    const owner = controllerOf(object);
    if (owner?.kind !== "Pod" || object.metadata.deletionTimestamp !== undefined || !isSettled(object, now)) return [];
    if (mesh !== undefined && meshOf(object) !== mesh) return [];
    const uid = uids.get(`${object.metadata.namespace ?? ""}/${owner.name}`);
    return uid === owner.uid ? [] : [`Dataplane ${placeOf(object)} belongs to pod "${owner.name}", which is gone`];
  });
}

async function everything({ cluster, scope, machine }: Parameters<Check["run"]>[0]): Promise<PodsAndOthers> {
  // In this order: a Dataplane that is made meanwhile has its pod in the list.
  const [dataplanes, services] = [await cluster.dataplanes(), await cluster.services()];
  return { dataplanes, services, pods: await cluster.pods(), mesh: scope.mesh, now: machine.now() };
}

const withDataplane = ofCluster({
  id: "kubernetes-dataplanes",
  description: "every pod with a sidecar has a Dataplane",
  async run(context): Promise<Outcome> {
    const { never, late } = podsWithoutDataplane(await everything(context));
    return unless([...late, ...never], {
      result: late.length > 0 ? "error" : "warning",
      fix:
        "make a Service whose selector and TCP ports match the pod, or give the pod the annotation " +
        "kuma.io/sidecar-injection: disabled if it needs no sidecar. `kubectl describe pod` shows what kuma-cp tells of one",
    });
  },
});

const withSidecar = ofCluster({
  id: "kubernetes-injection",
  description: "every pod of a namespace with injection has a sidecar",
  applies: async ({ cluster }) => {
    // Who lacks the permission is told so by `run`.
    const namespaces = await cluster.injectedNamespaces().catch(() => undefined);
    return namespaces === undefined || namespaces.size > 0;
  },
  async run(context) {
    const { cluster } = context;
    const [namespaces, pods] = [await cluster.injectedNamespaces(), await cluster.pods()];
    return unless(podsWithoutSidecar(pods, namespaces, await systemNamespaceOf(context)), {
      result: "warning",
      fix:
        "they were made before the namespace had the label, or while the injector did not answer: restart them, for example " +
        "with `kubectl rollout restart deployment NAME`. The annotation kuma.io/sidecar-injection: disabled says that a pod " +
        "is to have none",
      detail: `namespaces ${[...namespaces].sort().slice(0, 5).join(", ")}${namespaces.size > 5 ? ", …" : ""}`,
    });
  },
});

const withPod = ofCluster({
  id: "kubernetes-pods",
  description: "every Dataplane of a pod has its pod",
  async run(context) {
    return unless(dataplanesWithoutPod(await everything(context)), {
      result: "warning",
      fix:
        "the leading control plane takes them away within seconds: see the checks of its Lease and its permissions above, " +
        "and its log",
    });
  },
});

export const podChecks: readonly Check[] = [withDataplane, withSidecar, withPod];
