import type { Cause } from "../lib/errors.js";

const valid = /^[0-9a-z_-]*$/;
const longest = 100;

/**
 * Validates the name and mesh of a resource, in this order. Only for writes: resources from Kubernetes have dots in
 * their names and must stay readable.
 */
export function nameCauses({ mesh, name }: { readonly mesh: string; readonly name: string }): Cause[] {
  const causes: Cause[] = [];
  for (const [field, value] of [
    ["name", name],
    ["mesh", mesh],
  ] as const) {
    if (!valid.test(value)) {
      causes.push({
        field,
        message: "invalid characters; numbers, lowercase latin letters and '-', '_' are valid",
      });
    }
    if (value.length > longest) causes.push({ field, message: `cannot be longer than ${longest} characters` });
  }
  return causes;
}
