// Whether each Dataplane is what its pod and all Services demand, as a watch of the API server tells it.
import { isDeepStrictEqual } from "node:util";
import type { KubeClient } from "../../../src/kubeapi/client.js";
import type { KubeObject } from "../../../src/kubeapi/object.js";
import { reflect } from "../../../src/kubeapi/reflector.js";
import { readPod } from "../../../src/kubernetes/controllers/pod.js";
import { dataplaneOf, inboundsOf, outboundsOf, servicesIn } from "../../../src/kubernetes/controllers/pod-dataplane.js";
import { readService } from "../../../src/kubernetes/controllers/service.js";
import { controllerOf, customObjects } from "../../../src/kubernetes/custom-objects.js";
import { createLogger } from "../../../src/lib/logger.js";
import type { Dataplane } from "../../../src/resources/dataplane.js";
import { eventually } from "../../support/eventually.js";

interface Expected {
  readonly uid: string | undefined;
  readonly spec: Dataplane;
}

export interface Observer {
  /** The Dataplane of this pod should exist. Every Service counts as having pods. @returns its spec */
  expect(pod: KubeObject): Dataplane;
  /** It should not exist any more. */
  forget(namespace: string, name: string): void;
  /** Forgets when Dataplanes appeared. */
  restart(): void;
  /** Dataplanes that exist. */
  readonly count: number;
  /** Of those that appeared since `restart`: moments of `performance.now`. */
  readonly firstAppeared: number;
  readonly lastAppeared: number;
  /** When the last Dataplane so far became right. */
  readonly lastRight: number;
  /** Resolves when every Dataplane is right and none is left over; throws after the deadline, with an example. */
  allRight(deadlineMs: number): Promise<void>;
  close(): Promise<void>;
}

const keyOf = (namespace: string, name: string) => `${namespace}/${name}`;
const keyOfObject = ({ metadata: { namespace = "", name } }: KubeObject) => keyOf(namespace, name);

/** Watches the Dataplanes of all namespaces. */
export async function observe(client: KubeClient, serviceObjects: readonly KubeObject[]): Promise<Observer> {
  const services = serviceObjects.map(readService);
  const byNamespace = Map.groupBy(services, ({ namespace }) => namespace);
  const found = new Map<string, KubeObject>();
  const expected = new Map<string, Expected>();
  const right = new Set<string>();
  const offered = new Set<string>();
  const stop = new AbortController();
  let outbounds: ReturnType<typeof outboundsOf> = [];
  let [firstAppeared, lastAppeared, lastRight] = [0, 0, 0];
  let synced = false;

  for (const { namespace, name, ports } of services) {
    for (const { port } of ports) offered.add(`${name}.${namespace}.svc:${port}`);
  }
  const serviceNamed = new Map(services.map((service) => [keyOf(service.namespace, service.name), service]));
  outbounds = outboundsOf(offered, (namespace, name) => serviceNamed.get(keyOf(namespace, name)));

  function judge(key: string): void {
    const object = found.get(key);
    const wanted = expected.get(key);
    const isRight =
      object !== undefined &&
      wanted !== undefined &&
      object.mesh === "default" &&
      controllerOf(object)?.uid === wanted.uid &&
      isDeepStrictEqual(object.spec, wanted.spec);
    if (!isRight) right.delete(key);
    else if (!right.has(key)) {
      right.add(key);
      lastRight = performance.now();
    }
  }

  function set(object: KubeObject): void {
    const key = keyOfObject(object);
    if (!found.has(key)) {
      lastAppeared = performance.now();
      firstAppeared ||= lastAppeared;
    }
    found.set(key, object);
    judge(key);
  }

  function remove(key: string): void {
    found.delete(key);
    judge(key);
  }

  function check(): true {
    const wrong = [...expected.keys()].filter((key) => !right.has(key));
    const left = [...found.keys()].filter((key) => !expected.has(key));
    if (wrong.length + left.length === 0) return true;
    const example = wrong[0] ?? left[0] ?? "";
    throw new Error(
      `${wrong.length} of ${expected.size} are wrong and ${left.length} left over, such as ${example}: ` +
        `${JSON.stringify(found.get(example))?.slice(0, 1_000)} instead of ` +
        `${JSON.stringify(expected.get(example))?.slice(0, 1_000)}`,
    );
  }

  const watching = reflect(client, customObjects("dataplanes"), {
    signal: stop.signal,
    logger: createLogger({ name: "bench", level: "off" }),
    listed(items) {
      const listed = new Set(items.map(keyOfObject));
      for (const key of [...found.keys()]) if (!listed.has(key)) remove(key);
      items.forEach(set);
    },
    changed: (type, object) => (type === "DELETED" ? remove(keyOfObject(object)) : set(object)),
    state: ({ kind }) => {
      synced = kind === "synced";
    },
  });
  await eventually("the Dataplanes are watched", () => synced);

  return {
    expect(object) {
      const pod = readPod(object);
      const inbounds = inboundsOf(pod, byNamespace.get(pod.namespace) ?? []);
      const made = dataplaneOf(pod, inbounds, outbounds);
      if (made.kind !== "dataplane" || servicesIn(inbounds).size !== 1) {
        throw new Error(`pod ${pod.name} has no Dataplane: ${JSON.stringify(made)}`);
      }
      expected.set(keyOfObject(object), { uid: object.metadata.uid, spec: made.spec });
      judge(keyOfObject(object));
      return made.spec;
    },
    forget(namespace, name) {
      expected.delete(keyOf(namespace, name));
      judge(keyOf(namespace, name));
    },
    restart() {
      firstAppeared = 0;
      lastAppeared = 0;
    },
    get count() {
      return found.size;
    },
    get firstAppeared() {
      return firstAppeared;
    },
    get lastAppeared() {
      return lastAppeared;
    },
    get lastRight() {
      return lastRight;
    },
    allRight: async (deadlineMs) => void (await eventually("every Dataplane is right", check, deadlineMs)),
    async close() {
      stop.abort();
      await watching;
    },
  };
}
