import jwt from "jsonwebtoken";
import { messageOf } from "../lib/errors.js";
import type { SigningKey, VerificationKey } from "./signing-key.js";
import { longestToken } from "./token-limit.js";

/** Pinned: a token must not choose how it is verified. */
const algorithm = "RS256";

export interface TokenRequest {
  readonly name: string;
  readonly mesh: string;
  /** Validity in milliseconds; without it the token never expires. */
  readonly validFor?: number;
}

/** The verified identity, or why the token is invalid: for our log only, never sent to the peer. */
export type Verification =
  | { readonly kind: "valid"; readonly name: string; readonly mesh: string; readonly expires?: Date }
  | { readonly kind: "refused"; readonly reason: string };

/** Issues a JWT with the claims `Name` and `Mesh`, and `exp` if it expires; nothing is stored. */
export function issueToken(key: SigningKey, { name, mesh, validFor }: TokenRequest, now: Date): string {
  // Rounded up: claims have whole seconds, and a token must not expire early.
  const expiry = validFor === undefined ? {} : { exp: Math.ceil((now.getTime() + validFor) / 1000) };
  const claims = { Name: name, Mesh: mesh, ...expiry };
  return jwt.sign(claims, key.privateKey, { algorithm, keyid: key.kid, noTimestamp: true });
}

/**
 * Verifies a token with the keys that may have signed it. A token without `kid` is tried with every key: the header is
 * only a hint (RFC 7515, 4.1.4), the signature is the proof.
 */
export function verifyToken(keys: readonly VerificationKey[], token: string, now: Date): Verification {
  if (token === "") return refused("there is no token");
  if (token.length > longestToken) return refused(`it is longer than ${longestToken} characters`);
  const header = headerOf(token);
  if (header === undefined) return refused("it is not a JWT");
  if (header.alg !== algorithm) return refused(`its algorithm is ${quoted(header.alg)} instead of ${algorithm}`);
  const candidates = header.kid === undefined ? keys : keys.filter(({ kid }) => kid === header.kid);
  if (candidates.length === 0) {
    return refused(`it was signed with another key, ${quoted(header.kid)}; was the store emptied since?`);
  }
  const results = candidates.map((key) => verifyWith(key, token, now));
  const valid = results.find(({ kind }) => kind === "valid");
  return valid ?? results[0] ?? refused("there is no key");
}

const refused = (reason: string): Verification => ({ kind: "refused", reason });

/** Untrusted text, truncated for the log. */
const quoted = (value: unknown) => JSON.stringify(String(value).slice(0, 60));

/** Only the canonical encoding is accepted: otherwise a token could be altered and stay valid. */
const isCanonical = (part: string) => Buffer.from(part, "base64url").toString("base64url") === part;

/** The header of a compact JWT, with or without signature; undefined for anything else. */
function headerOf(token: string): Readonly<Record<string, unknown>> | undefined {
  const parts = token.split(".");
  if (parts.length !== 3 || !parts.every(isCanonical)) return undefined;
  try {
    const decoded = jwt.decode(token, { complete: true });
    return decoded === null ? undefined : { ...decoded.header };
  } catch {
    return undefined;
  }
}

function verifyWith({ publicKey }: VerificationKey, token: string, now: Date): Verification {
  try {
    const clockTimestamp = Math.floor(now.getTime() / 1000);
    const claims = jwt.verify(token, publicKey, { algorithms: [algorithm], clockTimestamp });
    return typeof claims === "string" ? refused("its claims are no JSON object") : identityOf(claims);
  } catch (error) {
    if (error instanceof jwt.TokenExpiredError) return refused(`it expired at ${JSON.stringify(error.expiredAt)}`);
    return refused(messageOf(error) === "invalid signature" ? "its signature is wrong" : messageOf(error));
  }
}

const isFilled = (value: unknown): value is string => typeof value === "string" && value !== "";

function identityOf({ Name: name, Mesh: mesh, exp }: jwt.JwtPayload): Verification {
  if (!isFilled(name)) return refused("it has no claim Name");
  if (!isFilled(mesh)) return refused("it has no claim Mesh");
  return { kind: "valid", name, mesh, ...(exp === undefined ? {} : { expires: new Date(exp * 1000) }) };
}
