import type { KubeObject, OwnerReference } from "../../kubeapi/object.js";
import { isJsonObject } from "../../lib/json.js";
import { shortHash } from "../../lib/short-hash.js";
import { type Dataplane, dataplaneType } from "../../resources/dataplane.js";
import { decode } from "../../resources/schema.js";
import { serviceTag } from "../../resources/tags.js";
import { controllerOf, meshOf } from "../custom-objects.js";
import { objectIn, objectsIn } from "../fields.js";

/** The hashes of a spec: all outbounds of a mesh are too large to hold them once for each of its pods. */
export interface Fingerprint {
  readonly whole: string;
  /** Of everything but the outbounds, which follow from other pods. */
  readonly own: string;
}

/** What the pod controller needs of a Dataplane in the API server. */
export interface StoredDataplane {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly mesh: string;
  readonly owners: readonly OwnerReference[];
  /** The owner that manages it; undefined for one that a user made. */
  readonly controller: OwnerReference | undefined;
  /** Undefined if its spec can't be read. */
  readonly fingerprint: Fingerprint | undefined;
  /** The services of its inbounds. */
  readonly services: ReadonlySet<string>;
  /** It waits for its finalizers to be removed. */
  readonly terminating: boolean;
}

/** The value with the keys of its objects sorted: the API server stores them in another order than they were sent. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}

const hashes = new WeakMap<readonly unknown[], string>();

/** The hash of a list, which the pods of a mesh share. */
function hashOfList(list: readonly unknown[]): string {
  let hash = hashes.get(list);
  if (hash === undefined) {
    hash = shortHash(JSON.stringify(sorted(list)));
    hashes.set(list, hash);
  }
  return hash;
}

const none: readonly unknown[] = [];

/** The fingerprint of a spec in normal form, with the fields that a newer version may have added. */
export function fingerprintOf(spec: Dataplane): Fingerprint {
  const { networking, ...others } = spec;
  const { outbound = none, ...rest } = networking ?? {};
  const own = shortHash(JSON.stringify(sorted({ ...others, networking: networking && rest })));
  return { whole: shortHash(own + hashOfList(outbound)), own };
}

function fingerprintOfStored(spec: unknown): Fingerprint | undefined {
  try {
    return fingerprintOf(decode(dataplaneType.schema, spec, "lenient").value);
  } catch {
    // Whoever reads the store reports what can't be read. Here it only differs from what it should be.
    return undefined;
  }
}

/** Reads what the pod controller needs of a Dataplane; one that is malformed offers the services that can be read. */
export function readStoredDataplane(object: KubeObject): StoredDataplane {
  const { namespace = "", name, uid = "", resourceVersion = "", deletionTimestamp } = object.metadata;
  const { networking } = objectIn(object.spec);
  const tags = objectsIn(objectIn(networking).inbound).map((inbound) => objectIn(inbound.tags)[serviceTag]);
  return {
    namespace,
    name,
    uid,
    resourceVersion,
    mesh: meshOf(object),
    owners: object.metadata.ownerReferences ?? [],
    controller: controllerOf(object),
    fingerprint: fingerprintOfStored(object.spec),
    services: new Set(tags.filter((tag): tag is string => typeof tag === "string" && tag !== "")),
    terminating: deletionTimestamp !== undefined,
  };
}

/** Whether the object belongs to the pod of its name, or to an earlier one of that name. */
export const belongsToPod = ({ controller, name }: StoredDataplane): boolean =>
  controller?.kind === "Pod" && controller.apiVersion === "v1" && controller.name === name;
