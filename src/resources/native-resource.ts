import { load, YAMLException } from "js-yaml";
import { UserError } from "../lib/errors.js";
import { isJsonObject } from "../lib/json.js";
import { anyObject } from "./any-object.js";

/** An Envoy message in a ProxyTemplate, not yet validated against Envoy's descriptors. */
export interface NativeResource {
  /** `type.googleapis.com/envoy.api.v2.Cluster` */
  readonly typeUrl: string;
  /** The message's fields, including `@type`. */
  readonly message: Readonly<Record<string, unknown>>;
}

/** Limits for stored resources: YAML aliases may expand to a huge or circular value. */
const stored = { deepest: 100, largest: 200_000 };
/** Limits for user input: ten times the size of large listeners. */
export const handedIn = { deepest: 100, largest: 10_000 };

function reasonOf(error: unknown): string {
  if (error instanceof UserError) return error.message;
  if (!(error instanceof YAMLException)) return "it can't be read as YAML or JSON";
  const { mark, reason } = error;
  return mark === undefined ? reason : `${reason} (line ${mark.line + 1}, column ${mark.column + 1})`;
}

/** Parses YAML or JSON of limited size; returns the reason if it is not an object with an `@type`. */
export function parseNativeResource(text: string, bounds = stored): NativeResource | { readonly reason: string } {
  let message: Readonly<Record<string, unknown>>;
  try {
    const document = load(text);
    if (!isJsonObject(document)) return { reason: "it has to be a YAML or JSON object" };
    message = anyObject(bounds).read(document, { mode: "strict", path: [], unknown: [] });
  } catch (error) {
    // Any exception of the parser means invalid text.
    return { reason: reasonOf(error) };
  }
  const typeUrl = Object.hasOwn(message, "@type") ? message["@type"] : undefined;
  if (typeof typeUrl !== "string" || typeUrl === "") {
    return { reason: 'it needs "@type", such as type.googleapis.com/envoy.api.v2.Cluster' };
  }
  return { typeUrl, message };
}
