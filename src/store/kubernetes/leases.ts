import type { KubeClient } from "../../kubeapi/client.js";
import type { Collection } from "../../kubeapi/collection.js";
import { hasStatus } from "../../kubeapi/error.js";
import type { KubeObject } from "../../kubeapi/object.js";
import { isJsonObject } from "../../lib/json.js";

/** Labels the Leases of instances. */
const instanceLabel = "kuma.io/control-plane-instance";

export interface LeaseSpec {
  readonly holderIdentity: string;
  readonly leaseDurationSeconds: number;
  readonly leaseTransitions?: number;
}

/** A Lease as this process sees it. */
export interface SeenLease {
  readonly object: KubeObject;
  readonly holder: string;
  readonly durationMs: number;
  readonly transitions: number;
  /** When its content last changed, by the clock of this process: those of other machines may differ. */
  readonly changedAt: number;
}

/** Leases in the system namespace. Methods throw KubeError. */
export interface Leases {
  get(name: string): Promise<SeenLease | undefined>;
  /** Those of instances. */
  list(): Promise<readonly SeenLease[]>;
  create(name: string, spec: LeaseSpec, ofInstance: boolean): Promise<SeenLease>;
  /** Renews, or takes over; 409 if it changed meanwhile, 404 if it is gone. */
  renew(lease: SeenLease, spec: LeaseSpec): Promise<SeenLease>;
  delete(name: string): Promise<void>;
}

const textOf = (value: unknown) => (typeof value === "string" ? value : "");
const numberOf = (value: unknown) => (typeof value === "number" ? value : 0);
const leaseApi = { group: "coordination.k8s.io", version: "v1", plural: "leases" } as const;

/** @param now milliseconds since any moment */
export function createLeases(
  client: KubeClient,
  namespace: string,
  now: () => number = () => performance.now(),
): Leases {
  const collection: Collection = { ...leaseApi, namespace };
  const seen = new Map<string, { readonly version: string; readonly at: number }>();

  const microTime = () => `${new Date().toISOString().slice(0, -1)}000Z`;

  function see(object: KubeObject): SeenLease {
    const { name, resourceVersion = "" } = object.metadata;
    const known = seen.get(name);
    const changedAt = known?.version === resourceVersion ? known.at : now();
    seen.set(name, { version: resourceVersion, at: changedAt });
    const spec = isJsonObject(object.spec) ? object.spec : {};
    return {
      object,
      holder: textOf(spec.holderIdentity),
      durationMs: numberOf(spec.leaseDurationSeconds) * 1_000,
      transitions: numberOf(spec.leaseTransitions),
      changedAt,
    };
  }

  return {
    async get(name) {
      const object = await client.get(collection, name);
      return object === undefined ? undefined : see(object);
    },
    async list() {
      const { items } = await client.list(collection, { labelSelector: instanceLabel });
      const present = new Set(items.map(({ metadata }) => metadata.name));
      for (const name of seen.keys()) if (name.includes(instancePrefix) && !present.has(name)) seen.delete(name);
      return items.map(see);
    },
    async create(name, spec, ofInstance) {
      const time = microTime();
      const labels = ofInstance ? { labels: { [instanceLabel]: spec.holderIdentity } } : {};
      const object = await client.create(collection, {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { name, namespace, ...labels },
        spec: { ...spec, acquireTime: time, renewTime: time },
      });
      return see(object);
    },
    async renew({ object, holder }, spec) {
      const before = isJsonObject(object.spec) ? object.spec : {};
      const acquired = holder === spec.holderIdentity ? {} : { acquireTime: microTime() };
      return see(
        await client.replace(collection, {
          ...object,
          spec: { ...before, ...spec, ...acquired, renewTime: microTime() },
        }),
      );
    },
    async delete(name) {
      seen.delete(name);
      await client.delete(collection, name).catch((error: unknown) => {
        if (!hasStatus(error, 404)) throw error;
      });
    },
  };
}

/** The Lease of an instance is named by its id. */
export const instancePrefix = "kuma-cp-instance-";
