import { UserError } from "../../lib/errors.js";
import { isJsonObject } from "../../lib/json.js";
import type { ResourceType } from "../../resources/resource.js";
import { decode } from "../../resources/schema.js";
import type { AdmissionRequest, Verdict } from "../admission-review.js";
import { objectIn } from "../fields.js";
import { type AddOperation, add, pointer } from "../json-patch.js";

/** The operations that add what `after` has and `before` lacks. */
function additions(before: unknown, after: unknown, path: readonly string[]): AddOperation[] {
  if (!isJsonObject(after)) return [];
  if (!isJsonObject(before)) return [add(pointer(...path), after)];
  return Object.keys(after).flatMap((key) => {
    const at = [...path, key];
    const [old, now] = [before[key], after[key]];
    if (old === undefined || old === null) return [add(pointer(...at), now)];
    return additions(old, now, at);
  });
}

/**
 * The mutating webhook of a type: sets the type's defaults. What can't be decoded is let through without a change, for
 * the validating webhook to say why.
 */
export function createDefaulter({
  schema,
  defaults,
  kubernetes,
}: ResourceType): (request: AdmissionRequest) => Verdict {
  const body = kubernetes?.body ?? "spec";
  return ({ operation, subResource, object }) => {
    if (operation === "DELETE" || subResource !== "") return { allowed: true };
    const written = objectIn(object)[body] ?? undefined;
    try {
      const { value } = decode(schema, written ?? {}, "lenient");
      return { allowed: true, patch: additions(written === undefined ? undefined : value, defaults(value), [body]) };
    } catch (error) {
      if (error instanceof UserError) return { allowed: true };
      throw error;
    }
  };
}
