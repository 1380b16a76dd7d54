import { isUtf8 } from "node:buffer";
import { UserError } from "../../lib/errors.js";
import { BeyondBounds, type JsonBounds, parseJsonInSteps } from "../../lib/json-steps.js";
import type { Steps } from "../../lib/steps.js";
import type { HttpReply } from "../../net/exchange.js";
import { inSlices } from "../../net/slices.js";
import { fromJson, fromJsonInSteps, type ReadDocument } from "../../resources/envelope.js";
import { nameCauses } from "../../resources/name.js";
import type { ResourceType } from "../../resources/resource.js";
import type { Key } from "../../store/store.js";
import { errors, titles } from "./errors.js";

export type ReadResult =
  | { readonly kind: "refused"; readonly reply: HttpReply }
  | { readonly kind: "read"; readonly spec: unknown };

/** Bodies up to this size are parsed at once; this blocks others for some milliseconds at most. */
const smallBytes = 32 * 1024;

/** Limits for request bodies, beyond any sane resource: a permission with 10,000 rules has 90,000 values. */
const bounds: JsonBounds = { deepest: 200, elements: 20_000, members: 10_000, values: 200_000 };

/**
 * Processes a body: a small one at once, without the overhead of steps, a large one in slices, so that the event loop
 * stays free in between.
 */
export function workOn<T>(body: Buffer, atOnce: () => T, inSteps: () => Steps<T>): T | Promise<T> {
  return body.length <= smallBytes ? atOnce() : inSlices(inSteps());
}

const parse = (body: Buffer): unknown =>
  workOn<unknown>(
    body,
    () => JSON.parse(body.toString()),
    () => parseJsonInSteps(body.toString(), bounds),
  );

const refused = (reply: HttpReply): ReadResult => ({ kind: "refused", reply });

/** Reads the body of a PUT and compares it with the URL; all mismatches are reported together. */
export async function readResource(type: ResourceType, key: Key, body: Buffer): Promise<ReadResult> {
  if (body.length === 0) return refused(errors.emptyBody(type.name));
  // Invalid UTF-8 would be replaced, so that the client would read back something else than it sent.
  if (!isUtf8(body)) return refused(errors.notJson("it is not UTF-8 text"));
  let document: unknown;
  try {
    document = await parse(body);
  } catch (error) {
    return refused(error instanceof BeyondBounds ? errors.unbounded(error) : errors.notJson(error));
  }
  let read: ReadDocument<unknown>;
  try {
    read = await workOn(
      body,
      () => fromJson(type, document, "strict"),
      () => fromJsonInSteps(type, document, "strict"),
    );
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return refused(errors.malformed(error));
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
