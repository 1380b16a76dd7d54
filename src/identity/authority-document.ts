import { UserError } from "../lib/errors.js";
import { unusable } from "./authority.js";
import type { Root } from "./root.js";

/** A root as stored in the Secret: PEM in base64. */
interface StoredRoot {
  readonly cert: string;
  readonly key: string;
}

/**
 * The state of a rotation. Without a rotation there is one root, which signs.
 *
 *     (none) ── begin ──> distributing ── every proxy trusts the new root ──> retiring ── old certificates expired ──> (none)
 */
export type Rotation =
  /** The last root is new: trusted, but not signing yet. */
  | {
      readonly state: "distributing";
      /** RFC 3339. */
      readonly since: string;
    }
  /** The first root is new and signs; the others stay trusted until all their certificates have expired. */
  | { readonly state: "retiring"; readonly until: string };

/** The value of the Secret `builtinca.<mesh>`; unknown members of other versions are kept. */
export interface AuthorityDocument {
  /** The first signs, all are trusted. */
  readonly roots: readonly StoredRoot[];
  readonly rotation?: Rotation;
  /** The longest validity that a certificate of this authority ever had, in milliseconds. */
  readonly longestLifeMs?: number;
}

const base64 = (pem: string) => Buffer.from(pem).toString("base64");

const storedRoot = ({ cert, key }: Root): StoredRoot => ({ cert: base64(cert), key: base64(key) });

/** A new authority with one root. */
export const newDocument = (root: Root, validityMs: number): AuthorityDocument => ({
  roots: [storedRoot(root)],
  longestLifeMs: validityMs,
});

/** Encodes the Secret's value as base64. */
export const encodeDocument = (document: AuthorityDocument): string => base64(JSON.stringify(document));

/** A misread rotation would retire roots too early, while their certificates are still valid. */
function checkRotation(rotation: unknown): void {
  if (rotation === undefined) return;
  if (typeof rotation !== "object" || rotation === null) throw unusable("rotation", 'has to be {"state": …}');
  const { state, until } = rotation as { readonly state?: unknown; readonly until?: unknown };
  if (state !== "distributing" && state !== "retiring") {
    throw unusable("rotation.state", 'has to be "distributing" or "retiring"');
  }
  if (state === "retiring" && (typeof until !== "string" || Number.isNaN(Date.parse(until)))) {
    throw unusable("rotation.until", "has to be a time, as 2006-01-02T15:04:05Z");
  }
}

/**
 * Decodes the Secret's value, without checking the roots (`readAuthority` does that).
 * @throws SyntaxError for invalid JSON, UserError `authority.unusable` for other invalid members
 */
export function decodeDocument(value: string): AuthorityDocument {
  const document = JSON.parse(Buffer.from(value, "base64").toString()) as AuthorityDocument;
  checkRotation(document.rotation);
  const { longestLifeMs = 0 } = document;
  if (!(Number.isFinite(longestLifeMs) && longestLifeMs >= 0)) {
    throw unusable("longestLifeMs", "has to be a number of milliseconds");
  }
  return document;
}

/**
 * Begins a rotation to the given root.
 * @throws UserError `rotation.running`
 */
export function beginRotation(document: AuthorityDocument, root: Root, now: Date): AuthorityDocument {
  if (document.rotation !== undefined) throw UserError.of("rotation.running");
  return {
    ...document,
    roots: [...document.roots, storedRoot(root)],
    rotation: { state: "distributing", since: now.toISOString() },
  };
}

/**
 * A proxy's clock may be this far behind, so that it accepts a certificate that long after it expired. With
 * certificates that are valid for less, clocks must be more accurate anyway.
 */
const clockSkewMs = 60_000;

/** Makes the new root sign; the others stay trusted until all their certificates have expired. */
export function switchSigning(document: AuthorityDocument, validityMs: number, now: Date): AuthorityDocument {
  const life = Math.max(validityMs, document.longestLifeMs ?? 0);
  const [newest, ...others] = [...document.roots].reverse();
  return {
    ...document,
    roots: newest === undefined ? [] : [newest, ...others.reverse()],
    rotation: { state: "retiring", until: new Date(now.getTime() + life + Math.min(life, clockSkewMs)).toISOString() },
  };
}

/** Ends a rotation: only the signing root is left. */
export function retireRoots({ rotation: _ended, ...document }: AuthorityDocument): AuthorityDocument {
  return { ...document, roots: document.roots.slice(0, 1) };
}

/** Records the validity of certificates from now on; undefined if that changes nothing. */
export function withLife(document: AuthorityDocument, validityMs: number): AuthorityDocument | undefined {
  return (document.longestLifeMs ?? 0) >= validityMs ? undefined : { ...document, longestLifeMs: validityMs };
}
