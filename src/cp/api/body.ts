import { isUtf8 } from "node:buffer";
import { messageOf, UserError } from "../../lib/errors.js";
import type { HttpReply } from "../../net/exchange.js";
import { fromJson } from "../../resources/envelope.js";
import { nameCauses } from "../../resources/name.js";
import type { ResourceType } from "../../resources/resource.js";
import type { Key } from "../../store/store.js";
import { errors, titles } from "./errors.js";

export type ReadResult =
  | { readonly kind: "refused"; readonly reply: HttpReply }
  | { readonly kind: "read"; readonly spec: unknown };

const refused = (reply: HttpReply): ReadResult => ({ kind: "refused", reply });

/** Reads the body of a PUT and holds it against the URL; all mismatches are reported together. */
export function readResource(type: ResourceType, key: Key, body: Buffer): ReadResult {
  if (body.length === 0) return refused(errors.malformed(`The body is empty; send the ${type.name} as JSON`));
  // Bytes that are no text would be replaced one by one, and read back different from what was sent.
  if (!isUtf8(body)) return refused(errors.malformed("The body is not valid JSON: it is not UTF-8 text"));
  let document: unknown;
  try {
    document = JSON.parse(body.toString());
  } catch (error) {
    return refused(errors.malformed(`The body is not valid JSON: ${messageOf(error)}`));
  }
  let read: ReturnType<typeof fromJson>;
  try {
    read = fromJson(type, document, "strict");
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return refused(errors.malformed(error.message, error.causes));
  }
  const { envelope, spec, unknown } = read;
  const same = (field: "name" | "type" | "mesh", fits: boolean) =>
    fits ? [] : [{ field, message: `${field} from the URL has to be the same as in body` }];
  const causes = [
    ...same("name", envelope.name === key.name),
    ...same("type", envelope.type === type.name),
    ...same("mesh", type.scope === "global" || envelope.mesh === key.mesh),
    ...nameCauses(key),
    ...unknown,
  ];
  return causes.length > 0 ? refused(errors.invalid(titles.process, causes)) : { kind: "read", spec };
}
