import { isJsonObject, parseJsonObject } from "../lib/json.js";

/** The claims of a token, not verified. */
export interface Claims {
  readonly name: string;
  readonly mesh: string;
  readonly expires: Date | undefined;
}

const part = (text = "") => parseJsonObject(Buffer.from(text, "base64url").toString("utf8"));

/** Reads the claims of a dataplane token without verifying its signature; returns the problem if it is not a token. */
export function readClaims(token: string): Claims | string {
  const [header, payload, signature, ...more] = token.split(".");
  const [head, claims] = [part(header), part(payload)];
  if (head === undefined || claims === undefined || signature === undefined || more.length > 0) return "it is no JWT";
  if (head.alg !== "RS256" || signature === "") return "it is not signed with RS256";
  const { Name: name, Mesh: mesh, exp } = claims;
  if (typeof name !== "string" || name === "") return "it has no claim Name";
  if (typeof mesh !== "string" || mesh === "") return "it has no claim Mesh";
  if (exp !== undefined && (typeof exp !== "number" || Number.isNaN(new Date(exp * 1000).getTime()))) {
    return "its claim exp is no number of seconds";
  }
  return { name, mesh, expires: exp === undefined ? undefined : new Date(exp * 1000) };
}

/** The claims of a token that Kubernetes made for a ServiceAccount, not verified. */
interface ServiceAccountClaims {
  readonly namespace: string;
  /** The pod that the token is bound to; undefined for a token that is bound to none. */
  readonly pod: string | undefined;
  /** In seconds since 1970. */
  readonly expires: unknown;
}

/** The claim by which such a token is known; an API server may sign with any kind of key. */
const kubernetesClaim = "kubernetes.io";

/** Reads a token of a ServiceAccount; undefined if it is another one. */
function readServiceAccountClaims(token: string): ServiceAccountClaims | undefined {
  const claims = part(token.split(".")[1]);
  const kubernetes = claims?.[kubernetesClaim];
  if (claims === undefined || !isJsonObject(kubernetes) || typeof kubernetes.namespace !== "string") return undefined;
  const { namespace, pod } = kubernetes;
  return {
    namespace,
    pod: isJsonObject(pod) && typeof pod.name === "string" ? pod.name : undefined,
    expires: claims.exp,
  };
}

const expiryProblem = (expires: Date | undefined, now: Date): string | undefined =>
  expires === undefined || expires > now
    ? undefined
    : `the token expired at ${expires.toISOString()} (the clock of this machine says ${now.toISOString()})`;

/** The Dataplane of a pod has the pod's name and namespace, with a dot between; only a name may have dots itself. */
function podProblem({ namespace, pod, expires }: ServiceAccountClaims, name: string, now: Date): string | undefined {
  const dot = name.lastIndexOf(".");
  const owner = { pod: name.slice(0, Math.max(dot, 0)), namespace: name.slice(dot + 1) };
  if (namespace !== owner.namespace || (pod !== undefined && pod !== owner.pod)) {
    const whose = pod === undefined ? `namespace "${namespace}"` : `pod "${pod}" in namespace "${namespace}"`;
    return `the token is for ${whose}, and not for dataplane "${name}"`;
  }
  if (expires === undefined) return undefined;
  const end = new Date(typeof expires === "number" ? expires * 1000 : Number.NaN);
  return Number.isNaN(end.getTime()) ? "its claim exp is no number of seconds" : expiryProblem(end, now);
}

/** Why a token cannot authenticate this dataplane, judging by its claims alone; undefined if it may be valid. */
export function tokenProblem(
  token: string,
  { name, mesh }: { readonly name: string; readonly mesh: string },
  now: Date,
): string | undefined {
  const ofPod = readServiceAccountClaims(token);
  if (ofPod !== undefined) return podProblem(ofPod, name, now);
  const claims = readClaims(token);
  if (typeof claims === "string") return `the file holds no dataplane token: ${claims}`;
  if (claims.name !== name || claims.mesh !== mesh) {
    return `the token is for dataplane "${claims.name}" in mesh "${claims.mesh}", and not for "${name}" in mesh "${mesh}"`;
  }
  return expiryProblem(claims.expires, now);
}
