import type { AddOperation } from "../../src/kubernetes/json-patch.js";

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A copy of the document with the additions made, as RFC 6902 defines them. Throws where the parent is missing. */
export function patched(document: unknown, patch: readonly AddOperation[]): unknown {
  const root = { document: structuredClone(document) };
  for (const { op, path, value } of patch) {
    if (op !== "add") throw new Error(`${op} is not an addition`);
    const segments = ["document", ...path.split("/").slice(1)].map((segment) =>
      segment.replaceAll("~1", "/").replaceAll("~0", "~"),
    );
    const last = segments.pop() ?? "";
    let parent: unknown = root;
    for (const segment of segments) {
      if (!isObject(parent) && !Array.isArray(parent)) throw new Error(`${path}: ${segment} has no parent`);
      parent = (parent as Record<string, unknown>)[segment];
    }
    if (Array.isArray(parent)) {
      const index = last === "-" ? parent.length : Number(last);
      if (!Number.isInteger(index) || index < 0 || index > parent.length) throw new Error(`${path}: no such index`);
      parent.splice(index, 0, structuredClone(value));
    } else if (isObject(parent)) parent[last] = structuredClone(value);
    else throw new Error(`${path}: its parent is missing`);
  }
  return root.document;
}
