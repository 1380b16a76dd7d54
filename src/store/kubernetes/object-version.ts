import type { KubeObject } from "../../kubeapi/object.js";
import { tokenOf, type Version, versionOf } from "../version.js";

/** The uid is part of a version: an object that was deleted and created again is another one. */
export interface ObjectVersion {
  readonly uid: string;
  readonly resourceVersion: string;
}

/** The version of an object from the API server; undefined if it has none. */
export function versionOfObject({ metadata: { uid, resourceVersion } }: KubeObject): Version | undefined {
  return resourceVersion === undefined ? undefined : versionOf(`${uid ?? ""}/${resourceVersion}`);
}

/** The parts of a version; undefined for one of another store. */
export function partsOf(version: Version): ObjectVersion | undefined {
  const token = tokenOf(version);
  const [uid, resourceVersion, ...more] = typeof token === "string" ? token.split("/") : [];
  if (uid === undefined || resourceVersion === undefined || more.length > 0) return undefined;
  return { uid, resourceVersion };
}
