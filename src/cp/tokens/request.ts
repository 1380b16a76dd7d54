import type { TokenRequest } from "../../identity/tokens.js";
import { parseDuration } from "../../lib/durations.js";
import { messageOf } from "../../lib/errors.js";
import { isJsonObject } from "../../lib/json.js";
import { nearest } from "../../lib/suggest.js";
import { nameCauses } from "../../resources/name.js";

export type ParsedRequest =
  | { readonly kind: "request"; readonly request: TokenRequest }
  | { readonly kind: "refused"; readonly reason: string };

const example = '{"name": "redis-1", "mesh": "default"}';
const fields = ["name", "mesh", "validFor"];
/** Within it every expiry is a date; it is a hundred thousand days. */
const longestValidity = 8.64e12;

const refused = (reason: string): ParsedRequest => ({ kind: "refused", reason });

/**
 * Reads the body of `POST /tokens`. A field that we don't know is refused: a misspelt `validFor`, left aside, would make
 * a token that never expires.
 */
export function parseTokenRequest(body: Buffer): ParsedRequest {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch (error) {
    return refused(`the body is not valid JSON (${messageOf(error)}); expected for example ${example}`);
  }
  if (!isJsonObject(value)) {
    return refused(`the body has to be an object such as ${example}`);
  }
  const unknown = Object.keys(value).find((field) => !fields.includes(field));
  if (unknown !== undefined) {
    const meant = nearest(unknown, fields);
    return refused(
      `unknown field ${JSON.stringify(unknown)}${meant === undefined ? "" : `; did you mean "${meant}"?`}`,
    );
  }
  const { name = "", mesh = "", validFor } = value;
  for (const [field, text] of Object.entries({ name, mesh })) {
    if (typeof text !== "string" && text !== null) return refused(`${field} has to be text`);
    if (text === "" || text === null) return refused(`${field} cannot be empty`);
  }
  return readRequest({ name: String(name), mesh: String(mesh) }, validFor);
}

function readRequest(dataplane: { readonly name: string; readonly mesh: string }, validFor: unknown): ParsedRequest {
  // A token for a name that no Dataplane can have would be good for nothing.
  const [cause] = nameCauses(dataplane);
  if (cause !== undefined) return refused(`${cause.field}: ${cause.message}`);
  if (validFor === undefined || validFor === null) return { kind: "request", request: dataplane };
  const milliseconds = readDuration(validFor);
  if (milliseconds === undefined || milliseconds <= 0) {
    return refused("validFor has to be a duration longer than nothing, such as 30m or 720h");
  }
  if (milliseconds > longestValidity) return refused("validFor is too long; leave it out for a token without an end");
  return { kind: "request", request: { ...dataplane, validFor: milliseconds } };
}

function readDuration(value: unknown): number | undefined {
  if (typeof value !== "string") return undefined;
  try {
    return parseDuration(value);
  } catch {
    return undefined;
  }
}
