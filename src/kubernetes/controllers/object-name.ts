/** The namespace and name of an object: `demo/web-1`. */
export type ObjectName = string & { readonly objectName: true };

export const objectName = (namespace: string, name: string): ObjectName => `${namespace}/${name}` as ObjectName;

/** The two parts; neither can contain a slash. */
export function partsOf(name: ObjectName): { readonly namespace: string; readonly name: string } {
  const slash = name.indexOf("/");
  return { namespace: name.slice(0, slash), name: name.slice(slash + 1) };
}
