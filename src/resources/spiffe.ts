/** The URI prefix of every identity in a mesh; the mesh is the trust domain. */
export const meshUri = (mesh: string): string => `spiffe://${mesh}/`;

/** The SPIFFE ID of a service: `spiffe://<mesh>/<service>`. */
export const serviceUri = (mesh: string, service: string): string => `${meshUri(mesh)}${service}`;

// RFC 3986's pchar without percent-encoding, whose two spellings of one name would be two names to a matcher. SPIFFE
// itself allows fewer; services on Kubernetes have a colon before their port.
const segment = /^[A-Za-z0-9._~!$&'()*+,;=:@-]+$/;

/** Names of a sidecar's own clusters: a service with such a name would collide with them. */
const ownClusters = /^(localhost:\d+|ads_cluster|nowhere|pass_through)$/;

/** Why a service can't be the path of a SPIFFE ID; undefined if it can. */
export function serviceProblem(service: string): string | undefined {
  if (service === "." || service === "..") return 'cannot be "." or "..", which a SPIFFE URI does not allow';
  if (ownClusters.test(service)) return "is a name that sidecars use for themselves";
  if (segment.test(service)) return undefined;
  return "cannot stand in a SPIFFE URI; letters, digits and -._~!$&'()*+,;=:@ are valid";
}
