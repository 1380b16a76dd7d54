import { parseJsonObject } from "../lib/json.js";
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

/** Why a token cannot authenticate this dataplane, judging by its claims alone; undefined if it may be valid. */
export function tokenProblem(
  token: string,
  { name, mesh }: { readonly name: string; readonly mesh: string },
  now: Date,
): string | undefined {
  const claims = readClaims(token);
  if (typeof claims === "string") return `the file holds no dataplane token: ${claims}`;
  if (claims.name !== name || claims.mesh !== mesh) {
    return `the token is for dataplane "${claims.name}" in mesh "${claims.mesh}", and not for "${name}" in mesh "${mesh}"`;
  }
  const { expires } = claims;
  if (expires === undefined || expires > now) return undefined;
  return `the token expired at ${expires.toISOString()} (the clock of this machine says ${now.toISOString()})`;
}
