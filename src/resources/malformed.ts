import { UserError } from "../lib/errors.js";
import { pathText, quoted, type Step } from "./path.js";

/** Describes a value for an error. Numbers and texts are shown, so that the user can find them in the document. */
export function describe(input: unknown): string {
  if (input === null || input === undefined) return "nothing (null)";
  if (Array.isArray(input)) return "a list";
  switch (typeof input) {
    case "number":
      return `the number ${input}`;
    case "boolean":
      return `${input}`;
    case "string":
      return `the text ${quoted(input)}`;
    default:
      return "an object";
  }
}

/** An error `path: sentence`, with the path as the field of its only cause. */
export function malformed(path: readonly Step[], sentence: string): UserError {
  const field = pathText(path);
  return UserError.of(
    "resource.malformed",
    { place: field === "" ? "" : `${field}: `, problem: sentence },
    { causes: [{ field, message: sentence }] },
  );
}

/** `path: expected …, got …; hint`. */
export function mismatch(path: readonly Step[], expected: string, input: unknown, hint?: string): UserError {
  return malformed(path, `expected ${expected}, got ${describe(input)}${hint === undefined ? "" : `; ${hint}`}`);
}
