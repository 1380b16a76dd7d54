import type { Collection } from "../../kubeapi/collection.js";
import type { KubeObject, ObjectMeta } from "../../kubeapi/object.js";
import type { CustomResource, ResourceType } from "../../resources/resource.js";

/** Group and version of the custom resources. */
export const kumaGroup = "kuma.io";
export const kumaVersion = "v1alpha1";
export const kumaApiVersion = `${kumaGroup}/${kumaVersion}`;

/** The mesh of an object that names none. */
export const defaultMesh = "default";
/** Labels a Secret with its mesh. */
export const meshLabel = "kuma.io/mesh";
export const secretObjectType = "system.kuma.io/secret";
/** The key of a Secret's data. */
export const secretKey = "value";
export const secretCollection = (namespace: string): Collection => ({
  group: "",
  version: "v1",
  plural: "secrets",
  namespace,
});

/** Where an object is: its name, and its namespace unless its resource is cluster-scoped. */
export interface ObjectPlace {
  readonly name: string;
  readonly namespace?: string;
}

/** The collection of a type's objects, in all namespaces or in one. */
export const collectionOf = ({ plural }: CustomResource, namespace?: string): Collection => ({
  group: kumaGroup,
  version: kumaVersion,
  plural,
  ...(namespace === undefined ? {} : { namespace }),
});

/**
 * The place of the resource with this name: `web-1.demo` is the object `web-1` in the namespace `demo`. A namespace has
 * no dots, so the last one separates.
 * @returns undefined for a name without a namespace, which no object has
 */
export function placeOf({ scope }: CustomResource, name: string): ObjectPlace | undefined {
  if (scope === "Cluster") return { name };
  const dot = name.lastIndexOf(".");
  if (dot <= 0 || dot === name.length - 1) return undefined;
  return { name: name.slice(0, dot), namespace: name.slice(dot + 1) };
}

/** The name of an object's resource: `name.namespace`, or the name alone if it is cluster-scoped. */
export const coreNameOf = ({ name, namespace }: ObjectMeta): string =>
  namespace === undefined || namespace === "" ? name : `${name}.${namespace}`;

/** The mesh of an object: `mesh` at its top level, the default mesh without one; a Mesh is its own. */
export function meshOf(type: Pick<ResourceType, "scope">, object: KubeObject): string {
  if (type.scope === "global") return object.metadata.name;
  const { mesh } = object;
  return typeof mesh === "string" && mesh !== "" ? mesh : defaultMesh;
}
