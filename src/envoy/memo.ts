import { createLruCache } from "../lib/lru-cache.js";
import { shortHash } from "../lib/short-hash.js";
import { createWeakTable } from "./weak-table.js";

type Primitive = string | number | boolean | undefined;

/** A value that a cache key can represent. */
export type PlainValue = Primitive | readonly PlainValue[] | { readonly [field: string]: PlainValue };

/** Values that a cache key can represent: primitives, and arrays and records of them. */
type Plain<T> = [T] extends [PlainValue]
  ? T
  : T extends Primitive
    ? T
    : T extends ((...parameters: never) => unknown) | ReadonlyMap<unknown, unknown> | ReadonlySet<unknown> | Uint8Array
      ? never
      : { readonly [K in keyof T]: Plain<T[K]> };

/** For parameters that a cache key can't represent, a required argument that can't be supplied; else no argument. */
export type Unkeyable<P> = [P] extends [Plain<P>] ? [] : [never];

const hashes = new WeakMap<object, string>();

/** Hash of the content of an immutable object. */
function hashOf(object: object): string {
  let hash = hashes.get(object);
  if (hash === undefined) {
    hash = shortHash(JSON.stringify(object));
    hashes.set(object, hash);
  }
  return hash;
}

/**
 * A key that is equal for equal values, and only for those. Records are equal when they have the same fields in the
 * same order. A frozen object must be deeply frozen: it is hashed once, whereas any other object is read each time.
 */
export function keyOf(value: unknown): string {
  // Prefixed by its length, so that a text and the rest of the key can't be confused.
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
 * Memoizes `make`: the result is cached per parameters for as long as it is referenced elsewhere. Call `memo` at the
 * top level of a module, or of a function whose arguments never change: then `make` depends on nothing else but its
 * parameters, and all of them are in the key.
 */
export function memo<P, R extends object>(
  make: (parameters: P) => R,
  ..._unkeyable: Unkeyable<P>
): (parameters: P) => R {
  const results = createWeakTable<R>();
  return (parameters) => {
    const key = keyOf(parameters);
    const known = results.get(key);
    if (known !== undefined) return known;
    const result = make(parameters);
    results.set(key, result);
    return result;
  };
}

/** As `memo`, but keeps the `most` recently used results even if they are not referenced elsewhere. */
export function memoOfRecent<P, R>(
  most: number,
  make: (parameters: P) => R,
  ..._unkeyable: Unkeyable<P>
): (parameters: P) => R {
  const recent = createLruCache<R>(most);
  return (parameters) => recent(keyOf(parameters), () => make(parameters));
}
