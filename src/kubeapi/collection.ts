/** The objects of one resource, in one namespace or everywhere. */
export interface Collection {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  /** Lower case, as in the path. */
  readonly plural: string;
  /** Without one: all namespaces, or a cluster-scoped resource. */
  readonly namespace?: string;
}

const segment = encodeURIComponent;

/** The path of a collection, or of one of its objects, or of a subresource of that. */
export function pathOf({ group, version, plural, namespace }: Collection, name?: string, subresource?: string): string {
  const root = group === "" ? `/api/${segment(version)}` : `/apis/${segment(group)}/${segment(version)}`;
  const within = namespace === undefined ? "" : `/namespaces/${segment(namespace)}`;
  const object = name === undefined ? "" : `/${segment(name)}`;
  return `${root}${within}/${segment(plural)}${object}${subresource === undefined ? "" : `/${subresource}`}`;
}

/** For messages: `trafficlogs.kuma.io`, `pods`. */
export const collectionText = ({ group, plural, namespace }: Collection): string =>
  (group === "" ? plural : `${plural}.${group}`) + (namespace === undefined ? "" : ` in namespace ${namespace}`);
