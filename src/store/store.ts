import type { Resource } from "../resources/resource.js";

/** What identifies a stored resource. A Mesh has `mesh === name`. */
export interface Key {
  readonly type: string;
  readonly mesh: string;
  readonly name: string;
}

/** A resource as it lies in a store; `version` grows with each update and is never serialised to users. */
export interface Stored<Spec = unknown> extends Resource<Spec> {
  readonly version: number;
}

/** One element of the change feed, in order and without gaps. */
export type Change =
  /** Replaces everything known: comes first, and again whenever continuity was lost. */
  | { readonly kind: "listing"; readonly sequence: number; readonly resources: readonly Stored[] }
  | { readonly kind: "put"; readonly sequence: number; readonly resource: Stored }
  | { readonly kind: "delete"; readonly sequence: number; readonly key: Key; readonly version: number };

/**
 * Where resources are kept. Every store passes one contract suite
 * (`tests/support/store-contract.ts`).
 */
export interface Store {
  get(key: Key): Promise<Stored | undefined>;
  /** All resources of a type, of one mesh when given. */
  list(type: string, mesh?: string): Promise<readonly Stored[]>;
  /** @throws StoreError `already-exists` */
  create(resource: Resource): Promise<Stored>;
  /**
   * Writes over the version that was read.
   * @throws StoreError `conflict` when the stored version differs or the record is gone
   */
  update(resource: Resource, version: number): Promise<Stored>;
  /** @throws StoreError `not-found` */
  delete(key: Key): Promise<void>;
  /** Deletes every resource of every type that belongs to the mesh, its own record first; nothing left is no error. */
  deleteMesh(mesh: string): Promise<void>;
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
