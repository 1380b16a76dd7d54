import type { Resource, ResourceType } from "../resources/resource.js";
import type { Version } from "./version.js";

/** What identifies a stored resource. A Mesh has `mesh === name`. */
export interface Key {
  readonly type: string;
  readonly mesh: string;
  readonly name: string;
}

/** A resource as it lies in a store; each write gives it another `version`, which is never serialised to users. */
export interface Stored<Spec = unknown> extends Resource<Spec> {
  readonly version: Version;
}

/**
 * One element of the change feed, in order and without gaps. What was written over before the feed got to it may be
 * left out: of every resource the newest version comes, not each.
 */
export type Change =
  /** Replaces everything known: comes first, and again whenever continuity was lost. */
  | { readonly kind: "listing"; readonly sequence: number; readonly resources: readonly Stored[] }
  | { readonly kind: "put"; readonly sequence: number; readonly resource: Stored }
  | { readonly kind: "delete"; readonly sequence: number; readonly key: Key };

/** One of several writes: a creation, or the update of the version that was read. */
export interface Write {
  readonly resource: Resource;
  readonly version: Version | undefined;
}

/**
 * Where resources are kept. Every store passes one contract suite
 * (`tests/support/store-contract.ts`). Specs are in the normal form of their type's schema.
 *
 * Reads see every write that ended before they began, whichever control plane made it. While what lies behind the store
 * can't be reached they answer from memory, and writes are refused as `unavailable`.
 */
export interface Store {
  /** False while what lies behind the store can't be reached. */
  readonly available: boolean;
  get(key: Key): Promise<Stored | undefined>;
  /** Those of the keys that exist, in any order. */
  getAll(keys: readonly Key[]): Promise<readonly Stored[]>;
  /** All resources of a type, of one mesh when given. */
  list<Spec>(type: ResourceType<Spec>, mesh?: string): Promise<readonly Stored<Spec>[]>;
  /** @throws StoreError `already-exists` */
  create(resource: Resource): Promise<Stored>;
  /**
   * Writes over the version that was read.
   * @throws StoreError `conflict` when the stored version differs or the record is gone
   */
  update(resource: Resource, version: Version): Promise<Stored>;
  /**
   * Several writes of different resources in one go, each by itself: the outcomes are in the order of the writes, and
   * a refused one is the StoreError that it would have thrown.
   */
  writeAll(writes: readonly Write[]): Promise<readonly (Stored | StoreError)[]>;
  /** @throws StoreError `not-found` */
  delete(key: Key): Promise<void>;
  /**
   * Deletes every resource of every type that belongs to the mesh, its own record first; nothing left is no error.
   * What belongs to no mesh can't be deleted by this: an empty name is a bug of the caller's.
   */
  deleteMesh(mesh: string): Promise<void>;
  /**
   * Does all that creating a resource takes, and takes it back before anybody can see it.
   * @throws what creating one would throw: StoreError `unavailable` while nothing can be written
   */
  tryWrite(): Promise<void>;
  /** The feed from now on, beginning with a full listing; only types that feed the translate stage travel in it. */
  changes(signal: AbortSignal): AsyncIterable<Change>;
  close(): Promise<void>;
}

export type StoreErrorKind = "already-exists" | "conflict" | "not-found" | "unavailable";

/** A refusal that callers are expected to handle; anything else a store throws is a bug. */
export class StoreError extends Error {
  readonly kind: StoreErrorKind;

  constructor(kind: StoreErrorKind, key: Key, cause?: unknown) {
    super(`${key.type} "${key.name}" in mesh "${key.mesh}": ${kind}`, cause === undefined ? undefined : { cause });
    this.name = "StoreError";
    this.kind = kind;
  }
}

/** Keys that belong to no mesh have an empty one: they would all go with it. */
export function assertMesh(mesh: string): void {
  if (mesh === "") throw new Error("there is no mesh without a name");
}
