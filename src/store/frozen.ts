import { setOwn } from "../resources/schema.js";

/** Deep-freezes a value and returns it, so that readers can keep it without copying. */
export function frozen<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const member of Object.values(value)) frozen(member);
  return Object.freeze(value);
}

/**
 * A deep-frozen copy of a JSON value. For small values this takes a fifth of the time of `structuredClone`, which also
 * supports maps, dates and cycles.
 */
export function frozenCopy<T>(value: T): T;
export function frozenCopy(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return Object.freeze(value.map(frozenCopy));
  const copy: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) setOwn(copy, key, frozenCopy(member));
  return Object.freeze(copy);
}
