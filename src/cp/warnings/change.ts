import type { Key, Store } from "../../store/store.js";

/** A valid resource that is about to be written. */
export interface Change<Spec = unknown> {
  readonly key: Key;
  readonly spec: Spec;
  /** The spec that it replaces; undefined if it is new. */
  readonly before: Spec | undefined;
}

/** Read access to the rest of the mesh. */
export type ReadableStore = Pick<Store, "get" | "list">;

/** What a change disables, and what it requests without effect in the current mesh; one sentence each. */
export type ChangeWarnings<Spec = unknown> = (change: Change<Spec>, store: ReadableStore) => Promise<readonly string[]>;

/** Maximum names in a sentence. */
const mostNamed = 5;

/** `"a", "b" and 3 more`. */
export function quotedNames(names: readonly string[]): string {
  const more = names.length - mostNamed;
  const shown = names.slice(0, mostNamed).map((name) => JSON.stringify(name));
  if (more > 0) return `${shown.join(", ")} and ${more} more`;
  const last = shown.pop() ?? "";
  return shown.length === 0 ? last : `${shown.join(", ")} and ${last}`;
}
