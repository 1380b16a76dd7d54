import type { TokenRequest } from "../../identity/tokens.js";
import { parseDuration } from "../../lib/durations.js";
import { type ParametersOf, replies } from "../../lib/errors/catalogue.js";
import { filled } from "../../lib/errors/entry.js";
import type { tokenRequestErrors } from "../../lib/errors/http.js";
import { isJsonObject } from "../../lib/json.js";
import { nearest } from "../../lib/suggest.js";
import { nameCauses } from "../../resources/name.js";

export type ParsedRequest =
  | { readonly kind: "request"; readonly request: TokenRequest }
  | { readonly kind: "refused"; readonly status: number; readonly reason: string };

const example = '{"name": "redis-1", "mesh": "default"}';
const fields = ["name", "mesh", "validFor"];
/** A hundred thousand days, so that every expiry is a valid date. */
const longestValidity = 8.64e12;

type Entries = typeof tokenRequestErrors;

function refused<Id extends keyof Entries>(id: Id, parameters: ParametersOf<Entries[Id]["message"]>): ParsedRequest {
  const { status, message } = replies[id];
  return { kind: "refused", status, reason: filled(message, parameters) };
}

/**
 * Reads the body of `POST /tokens`. Unknown fields are rejected: with a misspelt `validFor` ignored, the token would
 * never expire.
 */
export function parseTokenRequest(body: Buffer): ParsedRequest {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch (error) {
    return refused("token-request.not-json", { reason: error, example });
  }
  if (!isJsonObject(value)) {
    return refused("token-request.no-object", { example });
  }
  const unknown = Object.keys(value).find((field) => !fields.includes(field));
  if (unknown !== undefined) {
    const meant = nearest(unknown, fields);
    const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
    return refused("token-request.unknown-field", { field: JSON.stringify(unknown), hint });
  }
  const { name = "", mesh = "", validFor } = value;
  for (const [field, text] of Object.entries({ name, mesh })) {
    if (typeof text !== "string" && text !== null) return refused("token-request.no-text", { field });
    if (text === "" || text === null) return refused("token-request.empty", { field });
  }
  return readRequest({ name: String(name), mesh: String(mesh) }, validFor);
}

function readRequest(dataplane: { readonly name: string; readonly mesh: string }, validFor: unknown): ParsedRequest {
  // A token for an invalid Dataplane name would be useless.
  const [cause] = nameCauses(dataplane);
  if (cause !== undefined) return refused("token-request.invalid", { field: cause.field, problem: cause.message });
  if (validFor === undefined || validFor === null) return { kind: "request", request: dataplane };
  const milliseconds = readDuration(validFor);
  if (milliseconds === undefined || milliseconds <= 0) {
    return refused("token-request.duration", {});
  }
  if (milliseconds > longestValidity) return refused("token-request.too-long", {});
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
