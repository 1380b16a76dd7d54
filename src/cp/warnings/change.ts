import type { Key, Store } from "../../store/store.js";

/** A valid resource that is about to be written. */
export interface Change<Spec = unknown> {
  readonly key: Key;
  readonly spec: Spec;
  /** What it replaces; undefined when it is new. */
  readonly before: Spec | undefined;
}

/** What the rest of the mesh is read from. */
export type Surroundings = Pick<Store, "get" | "list">;

/** What a change switches off, or asks for and does not get as things are; a sentence each. */
export type ChangeWarnings<Spec = unknown> = (change: Change<Spec>, store: Surroundings) => Promise<readonly string[]>;

/** How many names a sentence has room for. */
const mostNamed = 5;

/** `"a", "b" and 3 more`. */
export function quotedNames(names: readonly string[]): string {
  const more = names.length - mostNamed;
  const shown = names.slice(0, mostNamed).map((name) => JSON.stringify(name));
  if (more > 0) return `${shown.join(", ")} and ${more} more`;
  const last = shown.pop() ?? "";
  return shown.length === 0 ? last : `${shown.join(", ")} and ${last}`;
}
