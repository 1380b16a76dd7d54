import { UserError } from "../lib/errors.js";
import { unusable } from "./authority.js";
import type { Root } from "./root.js";

/** A root as the Secret keeps it: PEM in base64. */
interface StoredRoot {
  readonly cert: string;
  readonly key: string;
}

/**
 * How far a rotation of the authority is; without one the first root signs and is the only one.
 *
 *     (none) ── begin ──> distributing ── every proxy trusts the new root ──> retiring ── old certificates died ──> (none)
 */
export type Rotation =
  /** The last root is new: trusted, but not signing yet. */
  | {
      readonly state: "distributing";
      /** RFC 3339. */
      readonly since: string;
    }
  /** The first root is new and signs; the others are trusted until no certificate of theirs can be alive. */
  | { readonly state: "retiring"; readonly until: string };

/** The value of the Secret `builtinca.<mesh>`; members that another version wrote are kept. */
export interface AuthorityDocument {
  /** The first signs, all are trusted. */
  readonly roots: readonly StoredRoot[];
  readonly rotation?: Rotation;
  /** The longest life that a certificate of this authority was ever given, in milliseconds. */
  readonly longestLifeMs?: number;
}

const base64 = (pem: string) => Buffer.from(pem).toString("base64");

const storedRoot = ({ cert, key }: Root): StoredRoot => ({ cert: base64(cert), key: base64(key) });

/** A new authority with one root. */
export const newDocument = (root: Root, validityMs: number): AuthorityDocument => ({
  roots: [storedRoot(root)],
  longestLifeMs: validityMs,
});

/** The Secret's value, base64. */
export const encodeDocument = (document: AuthorityDocument): string => base64(JSON.stringify(document));

/** A rotation that is misread would retire roots too early, with certificates of theirs still alive. */
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
 * The value as it lies there; `readAuthority` is what checks its roots.
 * @throws SyntaxError when it is no JSON, UserError `authority.unusable` when the rest of it can't be followed
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
 * Adds a root that is to take over.
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
 * Clocks of proxies may be this far behind: they take a certificate for alive that long after its end. Where
 * certificates live for less, clocks have to be better than that anyway.
 */
const clockSkewMs = 60_000;

/** Lets the new root sign; the others stay trusted for as long as one of their certificates can live. */
export function switchSigning(document: AuthorityDocument, validityMs: number, now: Date): AuthorityDocument {
  const life = Math.max(validityMs, document.longestLifeMs ?? 0);
  const [newest, ...others] = [...document.roots].reverse();
  return {
    ...document,
    roots: newest === undefined ? [] : [newest, ...others.reverse()],
    rotation: { state: "retiring", until: new Date(now.getTime() + life + Math.min(life, clockSkewMs)).toISOString() },
  };
}

/** Ends a rotation: only the root that signs is left. */
export function retireRoots({ rotation: _ended, ...document }: AuthorityDocument): AuthorityDocument {
  return { ...document, roots: document.roots.slice(0, 1) };
}

/** Notes how long certificates live from now on; undefined when that is nothing new. */
export function withLife(document: AuthorityDocument, validityMs: number): AuthorityDocument | undefined {
  return (document.longestLifeMs ?? 0) >= validityMs ? undefined : { ...document, longestLifeMs: validityMs };
}
