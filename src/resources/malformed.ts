import { UserError } from "../lib/errors.js";
import { pathText, quoted, type Step } from "./path.js";

/** What came, in words. Numbers and texts are shown, because they are what the user searches the document for. */
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

/** `path: sentence`, with the path as the field of the one cause. */
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
