import type { Collection } from "../../kubeapi/collection.js";
import type { KubeObject } from "../../kubeapi/object.js";
import { messageOf } from "../../lib/errors.js";
import { isJsonObject } from "../../lib/json.js";
import type { Registry } from "../../resources/registry.js";
import type { Resource, ResourceType } from "../../resources/resource.js";
import { decode } from "../../resources/schema.js";
import { authorityName, secretType } from "../../resources/secret.js";
import { frozen } from "../frozen.js";
import type { Stored } from "../store.js";
import {
  collectionOf,
  coreNameOf,
  kumaApiVersion,
  meshLabel,
  meshOf,
  type ObjectPlace,
  placeOf,
  secretCollection,
  secretKey,
  secretObjectType,
} from "./naming.js";
import { versionOfObject } from "./object-version.js";

/** An object that can't be read as a resource; `reason` completes a sentence about it. */
export interface Unreadable {
  readonly kind: "unreadable";
  readonly reason: string;
}

export type ReadObject = { readonly kind: "resource"; readonly resource: Stored } | Unreadable;

/** How the resources of one type are objects of the Kubernetes API. */
export interface ObjectKind {
  readonly type: ResourceType;
  /** All of them. */
  readonly collection: Collection;
  /** Restricts lists and watches to our objects. */
  readonly fieldSelector?: string;
  /** Undefined for the name of no object. */
  placeOf(name: string): ObjectPlace | undefined;
  collectionAt(place: ObjectPlace): Collection;
  /** The name of an object's resource. */
  nameOf(object: KubeObject): string;
  /** Reads an object leniently: unknown fields stay in the spec. Never throws. */
  read(object: KubeObject): ReadObject;
  /** A new object. */
  write(resource: Resource, place: ObjectPlace): unknown;
  /** The JSON patch that replaces the content, and nothing beside it. */
  replacement(resource: Resource): readonly { readonly op: "add"; readonly path: string; readonly value: unknown }[];
}

const unreadable = (reason: string): Unreadable => ({ kind: "unreadable", reason });
const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

function stored({ type, nameOf }: ObjectKind, mesh: string, object: KubeObject, spec: unknown): ReadObject {
  const version = versionOfObject(object);
  if (version === undefined) return unreadable("it has no resourceVersion");
  const name = nameOf(object);
  const resource = Object.freeze({ type: type.name, mesh, name, spec: frozen(spec), version });
  return { kind: "resource", resource };
}

/** @param hidden whether messages must not show values */
function specOf(type: ResourceType, content: unknown, hidden: boolean): { readonly spec: unknown } | Unreadable {
  try {
    // The webhook sets defaults when an object is written; it may have been down.
    return { spec: type.defaults(decode(type.schema, content, "lenient").value) };
  } catch (error) {
    return unreadable(hidden ? "its content can't be read" : `its content can't be read: ${messageOf(error)}`);
  }
}

function customKind(type: ResourceType, resource: NonNullable<ResourceType["kubernetes"]>): ObjectKind {
  const { body } = resource;
  const isGlobal = type.scope === "global";
  return {
    type,
    collection: collectionOf(resource),
    placeOf: (name) => placeOf(resource, name),
    collectionAt: ({ namespace }) => collectionOf(resource, namespace),
    nameOf: ({ metadata }) => coreNameOf(metadata),
    read(object) {
      const mesh = meshOf(type, object);
      if (isGlobal && !label.test(mesh)) {
        return unreadable(`its name is no DNS label of at most 63 characters, which a ${type.name} needs`);
      }
      const decoded = specOf(type, object[body] ?? {}, type.access === "internal");
      return "kind" in decoded ? decoded : stored(this, mesh, object, decoded.spec);
    },
    write: ({ mesh, spec }, { name, namespace }) => ({
      apiVersion: kumaApiVersion,
      kind: type.name,
      ...(isGlobal ? {} : { mesh }),
      metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
      [body]: spec,
    }),
    replacement: ({ spec }) => [{ op: "add", path: `/${body}`, value: spec }],
  };
}

/** The mesh of a Secret: of its label, else of its name; empty if it belongs to none. */
function meshOfSecret({ metadata: { name, labels } }: KubeObject): string {
  const labelled = labels?.[meshLabel];
  if (labelled !== undefined) return labelled;
  const prefix = authorityName("");
  return name.startsWith(prefix) ? name.slice(prefix.length) : "";
}

function secretKind(namespace: string): ObjectKind {
  const collection = secretCollection(namespace);
  const contentOf = ({ spec }: Resource) => (isJsonObject(spec) && typeof spec.value === "string" ? spec.value : "");
  return {
    type: secretType,
    collection,
    fieldSelector: `type=${secretObjectType}`,
    placeOf: (name) => (name === "" ? undefined : { name, namespace }),
    collectionAt: () => collection,
    nameOf: ({ metadata }) => metadata.name,
    read(object) {
      if (object.type !== secretObjectType) return unreadable(`its type is not ${secretObjectType}`);
      const value = isJsonObject(object.data) ? object.data[secretKey] : undefined;
      const decoded = specOf(secretType, value === undefined ? {} : { value }, true);
      return "kind" in decoded ? decoded : stored(this, meshOfSecret(object), object, decoded.spec);
    },
    write: (resource, { name }) => ({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name, namespace, ...(resource.mesh === "" ? {} : { labels: { [meshLabel]: resource.mesh } }) },
      type: secretObjectType,
      data: { [secretKey]: contentOf(resource) },
    }),
    replacement: (resource) => [{ op: "add", path: "/data", value: { [secretKey]: contentOf(resource) } }],
  };
}

/** The kinds of objects for all stored types, by the name of the type. */
export function objectKinds(registry: Registry, systemNamespace: string): ReadonlyMap<string, ObjectKind> {
  const kinds = registry.types.flatMap((type) => {
    if (type.name === secretType.name) return [secretKind(systemNamespace)];
    return type.kubernetes === undefined ? [] : [customKind(type, type.kubernetes)];
  });
  return new Map(kinds.map((kind) => [kind.type.name, kind]));
}
