import type { Collection } from "../kubeapi/collection.js";
import type { KubeObject, OwnerReference } from "../kubeapi/object.js";
import { defaultMesh, kumaApiVersion, kumaGroup, kumaVersion } from "../store/kubernetes/naming.js";

export const apiVersion = kumaApiVersion;

/** The custom objects of a type, by the plural of the type; without a namespace those of all namespaces. */
export const customObjects = (plural: string, namespace?: string): Collection => {
  const everywhere = { group: kumaGroup, version: kumaVersion, plural };
  return namespace === undefined ? everywhere : { ...everywhere, namespace };
};

/** The mesh of a custom object that belongs to one; absent or empty it is `default`. */
export const meshOf = ({ mesh }: KubeObject): string => (typeof mesh === "string" && mesh !== "" ? mesh : defaultMesh);

/** The owner that manages the object. */
export const controllerOf = ({ metadata }: KubeObject): OwnerReference | undefined =>
  metadata.ownerReferences?.find(({ controller }) => controller === true);
