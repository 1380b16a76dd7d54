import { UserError } from "../../../src/lib/errors.js";
import { fromJson } from "../../../src/resources/envelope.js";
import { registry } from "../../../src/resources/registry.js";
import type { ResourceType } from "../../../src/resources/resource.js";

export function typeOf(name: string): ResourceType {
  const type = registry.byName(name);
  if (type === undefined) throw new Error(`there is no type ${name}`);
  return type;
}

/** Reads a document as the API does: strictly, with defaults, validated. */
export function read(document: Record<string, unknown>) {
  const type = typeOf(String(document.type));
  const { spec, unknown } = fromJson(type, document, "strict");
  const complete = type.defaults(spec);
  return { spec: complete, unknown, causes: type.validate(complete) };
}

/** The message of the parse error that the work must throw. */
export function malformedMessage(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof UserError && error.id === "resource.malformed") return error.message;
    throw error;
  }
  throw new Error("nothing was refused");
}
