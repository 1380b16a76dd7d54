import type { Collection } from "../kubeapi/collection.js";
import type { KubeObject, OwnerReference } from "../kubeapi/object.js";
import { defaultMesh } from "./annotations.js";

export const group = "kuma.io";
export const version = "v1alpha1";
export const apiVersion = `${group}/${version}`;

/** The custom objects of a type, by the plural of the type; without a namespace those of all namespaces. */
export const customObjects = (plural: string, namespace?: string): Collection =>
  namespace === undefined ? { group, version, plural } : { group, version, plural, namespace };

/** The mesh of a custom object that belongs to one; absent or empty it is `default`. */
export const meshOf = ({ mesh }: KubeObject): string => (typeof mesh === "string" && mesh !== "" ? mesh : defaultMesh);

/** The owner that manages the object. */
export const controllerOf = ({ metadata }: KubeObject): OwnerReference | undefined =>
  metadata.ownerReferences?.find(({ controller }) => controller === true);
