import { createLruCache } from "../lib/lru-cache.js";
import { shortHash } from "../lib/short-hash.js";
import { createWeakTable } from "./weak-table.js";

type Primitive = string | number | boolean | undefined;

/** Any value whose content a key can tell. */
export type PlainValue = Primitive | readonly PlainValue[] | { readonly [field: string]: PlainValue };

/** Values whose content a key can tell: primitives, arrays and records of them. */
type Plain<T> = [T] extends [PlainValue]
  ? T
  : T extends Primitive
    ? T
    : T extends ((...parameters: never) => unknown) | ReadonlyMap<unknown, unknown> | ReadonlySet<unknown> | Uint8Array
      ? never
      : { readonly [K in keyof T]: Plain<T[K]> };

/** Nothing for parameters that a key can tell; an argument that nobody can give for others. */
export type Unkeyable<P> = [P] extends [Plain<P>] ? [] : [never];

const hashes = new WeakMap<object, string>();

/** Hash of the content of an object that can't change any more. */
function hashOf(object: object): string {
  let hash = hashes.get(object);
  if (hash === undefined) {
    hash = shortHash(JSON.stringify(object));
    hashes.set(object, hash);
  }
  return hash;
}

/**
 * A text that is equal for equal values, and for no others. Records count as equal when they have the same fields in the
 * same order. What is frozen has to be so through and through: it is hashed once, where anything else is read each time.
 */
export function keyOf(value: unknown): string {
  // With its length before it, so that no text can look like another one and what follows.
  if (typeof value === "string") return `${value.length}:${value}`;
  if (typeof value !== "object") return `=${value};`;
  if (value === null) return "=null;";
  if (Object.isFrozen(value)) return `#${hashOf(value)};`;
  if (Array.isArray(value)) {
    let key = `[${value.length};`;
    for (const member of value) key += keyOf(member);
    return key;
  }
  let key = "{";
  // Twice as fast as over entries; records have no fields but their own.
  for (const name in value) key += `${name.length}:${name}${keyOf((value as Record<string, unknown>)[name])}`;
  return `${key}}`;
}

/**
 * `make`, called once for equal parameters as long as somebody holds what it made. Declare the result beside its maker, at
 * the top of a module or of a function that is given what never changes: then the parameters are all that the maker can
 * read besides, and all of them are in the key.
 */
export function memo<P, R extends object>(
  make: (parameters: P) => R,
  ..._unkeyable: Unkeyable<P>
): (parameters: P) => R {
  const made = createWeakTable<R>();
  return (parameters) => {
    const key = keyOf(parameters);
    const known = made.get(key);
    if (known !== undefined) return known;
    const result = make(parameters);
    made.set(key, result);
    return result;
  };
}

/** As `memo`, for results that nobody holds: the `most` that were asked for last are kept. */
export function memoOfRecent<P, R>(
  most: number,
  make: (parameters: P) => R,
  ..._unkeyable: Unkeyable<P>
): (parameters: P) => R {
  const recent = createLruCache<R>(most);
  return (parameters) => recent(keyOf(parameters), () => make(parameters));
}
