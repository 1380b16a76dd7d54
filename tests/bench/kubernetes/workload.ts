// The objects of a cluster with many pods, written as users, controllers and kubelets write them.
import type { KubeClient } from "../../../src/kubeapi/client.js";
import type { Collection } from "../../../src/kubeapi/collection.js";
import type { KubeObject } from "../../../src/kubeapi/object.js";
import { inLanes } from "../../../src/lib/lanes.js";
import type { ClusterSize } from "./options.js";

/** Requests of users and kubelets at a time. */
const lanes = 8;
const namespaces = 10;

const core = (plural: string, namespace?: string): Collection => ({
  group: "",
  version: "v1",
  plural,
  ...(namespace === undefined ? {} : { namespace }),
});
/** A pod by its number: its Service, its namespace and its name of now. */
export interface Place {
  readonly service: number;
  readonly namespace: string;
  readonly name: string;
}

export interface Workload {
  readonly services: readonly KubeObject[];
  readonly namespaces: readonly string[];
  /** Creates the pods, each Service's one after the other, so that new services appear until the end. */
  createPods(created: (pod: KubeObject) => void): Promise<void>;
  /**
   * Replaces pods, some at a time and never two of one Service: by one of the same name, as a StatefulSet does, or by one
   * of another name, as a Deployment does.
   */
  restart(hears: RestartHears): Promise<void>;
}

interface RestartHears {
  /** Called before the pod is deleted. */
  deleted(place: Place): void;
  created(pod: KubeObject): void;
  /** The next pods are replaced once it resolves. */
  settled(): Promise<void>;
}

const restartedAtOnce = 20;

/** Creates namespaces, Services, and what owns the pods. */
export async function createWorkload(client: KubeClient, size: ClusterSize): Promise<Workload> {
  const spaces = Array.from({ length: Math.min(namespaces, size.services) }, (_, index) => `team-${index}`);
  const app = (service: number) => `app-${service}`;
  const namespaceOf = (service: number) => spaces[service % spaces.length] ?? "";
  const owners = new Map<number, KubeObject>();
  let addresses = 0;

  const spec = (service: number) => ({
    containers: [
      {
        name: "app",
        image: `registry.example/${app(service)}:1.4.2`,
        ports: [{ name: "http", containerPort: 8080 }],
        env: Array.from({ length: 12 }, (_, index) => ({ name: `SETTING_${index}`, value: `value of ${index}` })),
      },
      {
        name: "kuma-sidecar",
        image: "registry.example/kuma-dp:1.0.0",
        args: ["run", "--log-level=info"],
        env: Array.from({ length: 8 }, (_, index) => ({ name: `KUMA_${index}`, value: `value of ${index}` })),
      },
    ],
    terminationGracePeriodSeconds: 30,
  });

  function ownerOf(service: number) {
    const { apiVersion, kind, metadata } = owners.get(service) ?? { metadata: { name: "" } };
    return { apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: true, blockOwnerDeletion: true };
  }

  async function createPod({ service, namespace, name }: Place): Promise<KubeObject> {
    const address = addresses++;
    const ip = `10.${128 + (address >> 16)}.${(address >> 8) & 255}.${address & 255}`;
    const labels = { app: app(service), "pod-template-hash": "5d4f8c7b6f", version: "v1" };
    const annotations = {
      "kuma.io/sidecar-injected": "true",
      "kuma.io/transparent-proxying": "enabled",
      "kuma.io/transparent-proxying-port": "15001",
    };
    const metadata = { name, labels, annotations, ownerReferences: [ownerOf(service)] };
    const pods = core("pods", namespace);
    // Without a node: the API server deletes it at once, and no controller misses the node.
    const pod = { apiVersion: "v1", kind: "Pod", metadata, spec: spec(service) };
    await client.create(pods, pod);
    const containers = (ready: boolean) =>
      ["app", "kuma-sidecar"].map((container) => ({
        name: container,
        ready,
        restartCount: 0,
        image: `registry.example/${container}`,
        imageID: `registry.example/${container}@sha256:${"0".repeat(64)}`,
        state: { running: { startedAt: "2026-01-01T00:00:00Z" } },
      }));
    const status = (ready: boolean) => ({
      status: {
        phase: "Running",
        hostIP: `192.168.1.${address % 50}`,
        podIP: ip,
        podIPs: [{ ip }],
        startTime: "2026-01-01T00:00:00Z",
        conditions: ["Initialized", "PodScheduled", "ContainersReady", "Ready"].map((type, index) => ({
          type,
          status: index < 2 || ready ? "True" : "False",
        })),
        containerStatuses: containers(ready),
      },
    });
    const update = (ready: boolean) => client.patch(pods, name, "merge", status(ready), { subresource: "status" });
    await update(false);
    return update(true);
  }

  for (const name of spaces) {
    const metadata = { name };
    await client.create(core("namespaces"), { apiVersion: "v1", kind: "Namespace", metadata });
  }
  const numbers = Array.from({ length: size.services }, (_, index) => index);
  const services = await inLanes(numbers, lanes, async (service) => {
    const namespace = namespaceOf(service);
    const selector = { app: app(service) };
    const metadata = { name: app(service), labels: selector };
    const template = { metadata: { labels: selector }, spec: { containers: [{ name: "app", image: "app" }] } };
    const controller = { apiVersion: "v1", kind: "ReplicationController", metadata, spec: { selector, template } };
    // Its own controller does not run, and so makes and deletes no pods.
    owners.set(service, await client.create(core("replicationcontrollers", namespace), controller));
    const ports = [{ name: "http", port: 80, targetPort: "http" }];
    const object = { apiVersion: "v1", kind: "Service", metadata, spec: { selector, ports } };
    return client.create(core("services", namespace), object);
  });

  const places = Array.from({ length: size.pods }, (_, pod): Place => {
    const service = Math.floor((pod * size.services) / size.pods);
    return { service, namespace: namespaceOf(service), name: `${app(service)}-${pod}` };
  });

  /** The first pod of each Service, then the second of each, and so on. */
  function inTurns(): readonly Place[] {
    const byService = [...Map.groupBy(places, ({ service }) => service).values()];
    const most = Math.max(...byService.map(({ length }) => length));
    return Array.from({ length: most }, (_, turn) => byService.flatMap((own) => own[turn] ?? [])).flat();
  }

  return {
    services,
    namespaces: spaces,
    async createPods(created) {
      await inLanes(places, lanes, async (place) => created(await createPod(place)));
    },
    async restart({ deleted, created, settled }) {
      const replaced = inTurns().slice(0, size.restarted);
      const atOnce = Math.min(restartedAtOnce, size.services);
      for (let from = 0; from < replaced.length; from += atOnce) {
        await inLanes(replaced.slice(from, from + atOnce), lanes, async (place) => {
          const { namespace, name, service } = place;
          deleted(place);
          // No kubelet confirms the end of the pod.
          await client.request("DELETE", `/api/v1/namespaces/${namespace}/pods/${name}`, { gracePeriodSeconds: 0 });
          const next = service % 2 === 0 ? name : `${name}-next`;
          created(await createPod({ service, namespace, name: next }));
        });
        await settled();
      }
    },
  };
}
