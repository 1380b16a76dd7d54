import { eventually } from "../support/eventually.js";
import { type Cluster, whenDefaultAccount } from "./cluster.js";

interface OwnerReference {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
}

export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

/** An object as the API server returns it. */
export interface ApiObject<Spec = unknown> {
  readonly metadata: Metadata;
  readonly mesh?: string;
  readonly spec?: Spec;
}

export interface DataplaneSpec {
  readonly networking: {
    readonly inbound: readonly { readonly interface: string; readonly tags: Readonly<Record<string, string>> }[];
    readonly outbound?: readonly { readonly interface: string; readonly service: string }[];
    readonly transparentProxying?: { readonly redirectPort?: number };
  };
}

export type DataplaneObject = ApiObject<DataplaneSpec> & { readonly spec: DataplaneSpec };

const core = "/api/v1";
export const kuma = "/apis/kuma.io/v1alpha1";

/** The path of the objects of a resource of kuma.io. */
export const kumaPath = (plural: string, namespace?: string): string =>
  namespace === undefined ? `${kuma}/${plural}` : `${kuma}/namespaces/${namespace}/${plural}`;

export const corePath = (plural: string, namespace?: string): string =>
  namespace === undefined ? `${core}/${plural}` : `${core}/namespaces/${namespace}/${plural}`;

/** Requests as the administrator; whatever is refused throws. */
export function objectsOf(cluster: Cluster) {
  async function send<T>(method: string, place: string, body?: unknown, contentType = "application/json"): Promise<T> {
    const answer = await cluster.request(method, place, body, { contentType });
    if (answer.status >= 300) throw new Error(`${method} ${place}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body as T;
  }
  const patch = <T = ApiObject>(place: string, body: unknown) =>
    send<T>("PATCH", place, body, "application/merge-patch+json");

  return {
    /** Undefined if there is none. */
    async find<T = ApiObject>(place: string): Promise<T | undefined> {
      const answer = await cluster.request("GET", place);
      if (answer.status === 404) return undefined;
      if (answer.status !== 200) throw new Error(`GET ${place}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer.body as T;
    },
    list: async <T = ApiObject>(place: string): Promise<readonly T[]> =>
      (await send<{ items: readonly T[] }>("GET", place)).items,
    create: <T = ApiObject>(place: string, body: unknown) => send<T>("POST", place, body),
    patch,
    delete: (place: string, options?: unknown) => send<unknown>("DELETE", place, options),
    async namespace(name: string): Promise<void> {
      await cluster.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name } }]);
      await whenDefaultAccount(cluster, name);
    },
    service: (namespace: string, name: string, spec: Readonly<Record<string, unknown>>) =>
      send<ApiObject<{ clusterIP: string }> & { readonly spec: { readonly clusterIP: string } }>(
        "POST",
        corePath("services", namespace),
        { apiVersion: "v1", kind: "Service", metadata: { name }, spec },
      ),
    /** A pod as the injector and a kubelet would leave it; no kubelet knows of it. */
    async pod(namespace: string, name: string, options: PodOptions = {}): Promise<ApiObject> {
      const { ip = "10.1.0.5", labels = { app: name }, annotations = {}, ports = [{ containerPort: 8080 }] } = options;
      const injected = options.injected ?? true;
      const metadata = {
        name,
        labels,
        annotations: {
          ...(injected
            ? {
                "kuma.io/sidecar-injected": "true",
                "kuma.io/transparent-proxying": "enabled",
                "kuma.io/transparent-proxying-port": "15001",
              }
            : {}),
          ...annotations,
        },
      };
      const spec = {
        // Without a node, deleting is immediate and no garbage collector of pods interferes.
        containers: [{ name: "app", image: "app", ports }],
        terminationGracePeriodSeconds: 0,
        ...options.spec,
      };
      const pod = await send<ApiObject>("POST", corePath("pods", namespace), {
        apiVersion: "v1",
        kind: "Pod",
        metadata,
        spec,
      });
      if (ip !== "") {
        const status = { phase: "Running", podIP: ip, podIPs: [{ ip }] };
        await patch(`${corePath("pods", namespace)}/${name}/status`, { status });
      }
      return pod;
    },
    /** Waits for a Dataplane that fits. */
    dataplane: (
      what: string,
      namespace: string,
      name: string,
      fits: (dataplane: DataplaneObject) => boolean = () => true,
    ): Promise<DataplaneObject> =>
      eventually(`${namespace}/${name}: ${what}`, async () => {
        const answer = await cluster.request("GET", `${kumaPath("dataplanes", namespace)}/${name}`);
        const found = answer.status === 200 ? (answer.body as DataplaneObject) : undefined;
        if (found === undefined) throw new Error(`there is none (${answer.status})`);
        if (!fits(found)) throw new Error(JSON.stringify(found));
        return found;
      }),
    /** Waits until an object is gone. */
    gone: (place: string) =>
      eventually(`${place} is gone`, async () => (await cluster.request("GET", place)).status === 404),
  };
}

export interface PodOptions {
  /** Empty: none yet. */
  readonly ip?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ports?: readonly unknown[];
  readonly injected?: boolean;
  readonly spec?: Readonly<Record<string, unknown>>;
}

export const inboundsOf = ({ spec }: DataplaneObject): readonly string[] =>
  spec.networking.inbound.map((inbound) => `${inbound.interface} ${inbound.tags.service}`);

export const outboundsOf = ({ spec }: DataplaneObject): readonly string[] =>
  (spec.networking.outbound ?? []).map((outbound) => `${outbound.interface} ${outbound.service}`);
