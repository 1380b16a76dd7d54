import type { Cause } from "../lib/errors.js";
import { isJsonObject } from "../lib/json.js";
import type { Steps } from "../lib/steps.js";
import { mismatch } from "./malformed.js";
import type { Resource, ResourceType } from "./resource.js";
import { text } from "./scalars.js";
import { decode, decodeInSteps, type Mode } from "./schema.js";

/** The keys that every resource has besides its spec. */
const envelopeKeys = ["type", "mesh", "name"] as const;

/** The type, mesh and name in a document; a missing, null or empty key is undefined. */
export interface Envelope {
  readonly type: string | undefined;
  readonly mesh: string | undefined;
  readonly name: string | undefined;
}

export interface ReadDocument<Spec> {
  readonly envelope: Envelope;
  readonly spec: Spec;
  /** Unknown fields, in strict mode. */
  readonly unknown: Cause[];
}

/** The form of a resource in the API and in files: flat, `type`, `mesh` (not of global types) and `name` first. */
export function toJson({ type, mesh, name, spec }: Resource): Record<string, unknown> {
  const fields = spec as Record<string, unknown>;
  return type === "Mesh" || mesh === "" ? { type, name, ...fields } : { type, mesh, name, ...fields };
}

const word = text();

/**
 * Reads type, mesh and name of a document, and nothing else.
 * @throws UserError("resource.malformed") if it is not an object, or one of the three is not text.
 */
export function readEnvelope(document: unknown): Envelope {
  if (!isJsonObject(document)) throw mismatch([], "an object", document);
  const read = (key: (typeof envelopeKeys)[number]) => {
    const value = document[key];
    if (value === undefined || value === null) return undefined;
    return word.read(value, { mode: "strict", path: [key], unknown: [] }) || undefined;
  };
  return { type: read("type"), mesh: read("mesh"), name: read("name") };
}

/**
 * Reads a document as a resource of the type: its envelope as written (the caller checks it) and its spec in normal
 * form, before defaults and validation.
 * @throws UserError("resource.malformed") for a wrong JSON type anywhere.
 */
export function fromJson<Spec>(type: ResourceType<Spec>, document: unknown, mode: Mode): ReadDocument<Spec> {
  const envelope = readEnvelope(document);
  const { value: spec, unknown } = decode(type.schema, document, mode, { beside: envelopeKeys });
  return { envelope, spec, unknown };
}

/** Like `fromJson`, in steps, for large documents. */
export function* fromJsonInSteps<Spec>(
  type: ResourceType<Spec>,
  document: unknown,
  mode: Mode,
): Steps<ReadDocument<Spec>> {
  const envelope = readEnvelope(document);
  const { value: spec, unknown } = yield* decodeInSteps(type.schema, document, mode, { beside: envelopeKeys });
  return { envelope, spec, unknown };
}
