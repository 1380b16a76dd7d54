import { isJsonObject, type JsonObject } from "../lib/json.js";

// The API server has checked the objects of its own types, but a type says nothing about what a newer server sends.
// Fields of another form than expected are therefore read as absent.

const nothing: JsonObject = {};

/** The object, or an empty one for anything else. */
export const objectIn = (value: unknown): JsonObject => (isJsonObject(value) ? value : nothing);

/** The objects of a list; none for anything else. */
export const objectsIn = (value: unknown): readonly JsonObject[] =>
  Array.isArray(value) ? value.filter(isJsonObject) : [];

/** The text; empty for anything else. */
export const textIn = (value: unknown): string => (typeof value === "string" ? value : "");

/** The entries of a map of texts; others are left out. */
export function textsIn(value: unknown): Readonly<Record<string, string>> {
  const texts = Object.entries(objectIn(value)).filter((entry): entry is [string, string] => {
    return typeof entry[1] === "string";
  });
  // Unlike an assignment, this has no special key.
  return Object.fromEntries(texts);
}
