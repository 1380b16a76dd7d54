import type { Resource, ResourceType } from "../resources/resource.js";
import type { Version } from "./version.js";

/** What identifies a stored resource. A Mesh has `mesh === name`. */
export interface Key {
  readonly type: string;
  readonly mesh: string;
  readonly name: string;
}

/** A resource as stored; each write gives it a new `version`, which is never exposed to users. */
export interface Stored<Spec = unknown> extends Resource<Spec> {
  readonly version: Version;
}

/**
 * One element of the change feed, in order and without gaps. Intermediate versions may be skipped: the feed delivers
 * the newest version of every resource, not each one.
 */
export type Change =
  /** Replaces everything known: comes first, and again whenever changes may have been missed. */
  | { readonly kind: "listing"; readonly sequence: number; readonly resources: readonly Stored[] }
  | { readonly kind: "put"; readonly sequence: number; readonly resource: Stored }
  | { readonly kind: "delete"; readonly sequence: number; readonly key: Key };

/** One of several writes: a creation, or an update of the version that was read. */
export interface Write {
  readonly resource: Resource;
  readonly version: Version | undefined;
}

/**
 * Stores resources. Every store passes one contract suite (`tests/support/store-contract.ts`). Specs are in the normal
 * form of their type's schema.
 *
 * Reads see every write that completed before they began, whichever control plane made it. While the backend is
 * unavailable, reads are served from memory and writes fail as `unavailable`.
 */
export interface Store {
  /** False while the backend is unavailable. */
  readonly available: boolean;
  get(key: Key): Promise<Stored | undefined>;
  /** Those of the keys that exist, in any order. */
  getAll(keys: readonly Key[]): Promise<readonly Stored[]>;
  /** All resources of a type, or those of one mesh. */
  list<Spec>(type: ResourceType<Spec>, mesh?: string): Promise<readonly Stored<Spec>[]>;
  /** @throws StoreError `already-exists` */
  create(resource: Resource): Promise<Stored>;
  /**
   * Replaces the version that was read.
   * @throws StoreError `conflict` if the stored version differs or the resource is deleted
   */
  update(resource: Resource, version: Version): Promise<Stored>;
  /**
   * Several independent writes of different resources in one batch. The results are in the order of the writes; a
   * failed one is the StoreError that it would have thrown.
   */
  writeAll(writes: readonly Write[]): Promise<readonly (Stored | StoreError)[]>;
  /** @throws StoreError `not-found` */
  delete(key: Key): Promise<void>;
  /**
   * Deletes every resource of the mesh, the Mesh itself first; it is no error if there are none. Resources without a
   * mesh can't be deleted by this: an empty name is a bug of the caller.
   */
  deleteMesh(mesh: string): Promise<void>;
  /**
   * Does everything that creating a resource does, and rolls it back before anyone can see it.
   * @throws what creating one would throw: StoreError `unavailable` while the store is not writable
   */
  tryWrite(): Promise<void>;
  /** The feed from now on, starting with a full listing; it only has types that the translate stage needs. */
  changes(signal: AbortSignal): AsyncIterable<Change>;
  close(): Promise<void>;
}

export type StoreErrorKind = "already-exists" | "conflict" | "not-found" | "unavailable";

/** An error that callers are expected to handle; anything else a store throws is a bug. */
export class StoreError extends Error {
  readonly kind: StoreErrorKind;

  constructor(kind: StoreErrorKind, key: Key, cause?: unknown) {
    super(`${key.type} "${key.name}" in mesh "${key.mesh}": ${kind}`, cause === undefined ? undefined : { cause });
    this.name = "StoreError";
    this.kind = kind;
  }
}

/** Resources without a mesh have an empty one: they would all be deleted. */
export function assertMesh(mesh: string): void {
  if (mesh === "") throw new Error("there is no mesh without a name");
}
