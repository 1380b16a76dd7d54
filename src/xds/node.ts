/** The proxy that a client claims to be. */
export interface ProxyId {
  readonly mesh: string;
  readonly name: string;
}

/**
 * Parses an Envoy node id `<mesh>.<name>`. The first dot is the separator: mesh names have no dots, names of
 * Dataplanes on Kubernetes do (`pod.namespace`). Undefined when either part is missing.
 */
export function parseNodeId(id: string): ProxyId | undefined {
  const dot = id.indexOf(".");
  if (dot <= 0 || dot === id.length - 1) return undefined;
  return { mesh: id.slice(0, dot), name: id.slice(dot + 1) };
}
