import { messageOf } from "../../lib/errors.js";
import type { Registry } from "../../resources/registry.js";
import { decode } from "../../resources/schema.js";
import { frozen } from "../frozen.js";
import type { Key, Stored } from "../store.js";
import { tokenOf, type Version, versionOf } from "../version.js";

/** A row of the table `resources`. */
export interface ResourceRow extends Key {
  readonly version: number;
  readonly spec: string | null;
}

export type ReadRow =
  | { readonly kind: "resource"; readonly resource: Stored }
  /** Of a type that only another version of Kuma knows: ignored. */
  | { readonly kind: "foreign" }
  /** Unreadable; `reason` completes a sentence about the row. */
  | { readonly kind: "junk"; readonly reason: string };

const junk = (reason: string): ReadRow => ({ kind: "junk", reason });

/** Reads a row leniently: unknown fields stay in the spec. Never throws, whatever a row holds. */
export function readRow(registry: Registry, { type: typeName, mesh, name, version, spec }: ResourceRow): ReadRow {
  const type = registry.byName(typeName);
  if (type === undefined) return { kind: "foreign" };
  if (name === "") return junk("its name is empty");
  if (type.scope === "mesh" && mesh === "" && type.access !== "internal") return junk("its mesh is empty");
  if (typeName === "Mesh" && mesh !== name) return junk("the mesh of a Mesh has to be its own name");
  if (spec === null) return junk("it has no spec");
  try {
    const { value } = decode(type.schema, JSON.parse(spec), "lenient");
    const resource = { type: typeName, mesh, name, spec: frozen(value), version: versionOf(version) };
    return { kind: "resource", resource: Object.freeze(resource) };
  } catch (error) {
    return junk(type.access === "internal" ? "its spec can't be read" : `its spec can't be read: ${messageOf(error)}`);
  }
}

/** The row's version number; for a version of another store, a number that no row has. */
export function numberOf(version: Version): number {
  const token = tokenOf(version);
  return typeof token === "number" && Number.isSafeInteger(token) ? token : -1;
}

/** The spec as stored in the table: proto3 JSON, without type, mesh and name. */
export const specText = (spec: unknown): string => JSON.stringify(spec);
