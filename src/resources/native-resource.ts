import { load, YAMLException } from "js-yaml";
import { UserError } from "../lib/errors.js";
import { isJsonObject } from "../lib/json.js";
import { anyObject } from "./any-object.js";

/** One Envoy message as a ProxyTemplate carries it, not yet checked against Envoy's descriptors. */
export interface NativeResource {
  /** `type.googleapis.com/envoy.api.v2.Cluster` */
  readonly typeUrl: string;
  /** The message's fields, `@type` among them. */
  readonly message: Readonly<Record<string, unknown>>;
}

/** YAML's aliases may make a text a huge value, or one that holds itself: this makes it a tree of bounded size. */
const stored = { deepest: 100, largest: 200_000 };
/** The same of what a user hands in: ten times what large listeners have. */
export const handedIn = { deepest: 100, largest: 10_000 };

function reasonOf(error: unknown): string {
  if (error instanceof UserError) return error.message;
  if (!(error instanceof YAMLException)) return "it can't be read as YAML or JSON";
  const { mark, reason } = error;
  return mark === undefined ? reason : `${reason} (line ${mark.line + 1}, column ${mark.column + 1})`;
}

/** Reads YAML or JSON text of bounded size; the reason when it is no object with an `@type`. */
export function parseNativeResource(text: string, bounds = stored): NativeResource | { readonly reason: string } {
  let message: Readonly<Record<string, unknown>>;
  try {
    const document = load(text);
    if (!isJsonObject(document)) return { reason: "it has to be a YAML or JSON object" };
    message = anyObject(bounds).read(document, { mode: "strict", path: [], unknown: [] });
  } catch (error) {
    // Whatever the parser throws, the text is at fault.
    return { reason: reasonOf(error) };
  }
  const typeUrl = Object.hasOwn(message, "@type") ? message["@type"] : undefined;
  if (typeof typeUrl !== "string" || typeUrl === "") {
    return { reason: 'it needs "@type", such as type.googleapis.com/envoy.api.v2.Cluster' };
  }
  return { typeUrl, message };
}
