import type { Cause } from "../lib/errors.js";
import { isJsonObject } from "../lib/json.js";
import type { AddOperation } from "./json-patch.js";

/** What an API server asks an admission webhook, from an AdmissionReview of `admission.k8s.io/v1`. */
export interface AdmissionRequest {
  readonly uid: string;
  readonly operation: "CREATE" | "UPDATE" | "DELETE" | "CONNECT";
  /** Of the object that the webhook is registered for; the group of core types is empty. */
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
  /** Such as `status`; empty for the object itself. */
  readonly subResource: string;
  /** Empty while the API server has not made a name from `generateName`. */
  readonly name: string;
  /** Empty for objects outside of namespaces. The object itself may lack it. */
  readonly namespace: string;
  readonly dryRun: boolean;
  readonly userInfo: { readonly username: string; readonly groups: readonly string[] };
  /** As sent by the user; undefined for DELETE. */
  readonly object: unknown;
  /** The stored object; undefined for CREATE. */
  readonly oldObject: unknown;
}

/** The answer to a request. Warnings are shown to the user by kubectl. */
export type Verdict =
  | {
      readonly allowed: true;
      /** Changes to make to the object; an empty list is no patch. */
      readonly patch?: readonly AddOperation[];
      readonly warnings?: readonly string[];
    }
  | {
      readonly allowed: false;
      /** An HTTP status: 400 for what can't be read, 422 for what is invalid, 500 for a failure of ours. */
      readonly code: number;
      readonly message: string;
      readonly causes?: readonly Cause[];
      readonly warnings?: readonly string[];
    };

const apiVersion = "admission.k8s.io/v1";
const kind = "AdmissionReview";
const operations = ["CREATE", "UPDATE", "DELETE", "CONNECT"] as const;

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const texts = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((element) => typeof element === "string") : [];
const object = (value: unknown) => (isJsonObject(value) ? value : {});

const shown = (value: unknown) => (typeof value === "string" ? JSON.stringify(value.slice(0, 100)) : typeof value);

/** Reads an AdmissionReview; returns the problem if it is not one. */
export function readAdmissionReview(document: unknown): AdmissionRequest | string {
  if (!isJsonObject(document)) return "an AdmissionReview has to be an object";
  if (document.kind !== kind) return `kind is ${shown(document.kind)}, but has to be "${kind}"`;
  if (document.apiVersion !== apiVersion) {
    return `apiVersion is ${shown(document.apiVersion)}, but has to be "${apiVersion}"`;
  }
  const { request } = document;
  if (!isJsonObject(request)) return "request has to be an object";
  if (typeof request.uid !== "string" || request.uid === "") return "request.uid has to be text";
  const operation = operations.find((known) => known === request.operation);
  if (operation === undefined) {
    return `request.operation is ${shown(request.operation)}, but has to be one of ${operations.join(", ")}`;
  }
  const ofKind = object(request.kind);
  const user = object(request.userInfo);
  return {
    uid: request.uid,
    operation,
    kind: { group: text(ofKind.group), version: text(ofKind.version), kind: text(ofKind.kind) },
    subResource: text(request.subResource),
    name: text(request.name),
    namespace: text(request.namespace),
    dryRun: request.dryRun === true,
    userInfo: { username: text(user.username), groups: texts(user.groups) },
    object: request.object ?? undefined,
    oldObject: request.oldObject ?? undefined,
  };
}

const reasons: ReadonlyMap<number, string> = new Map([
  [400, "BadRequest"],
  [403, "Forbidden"],
  [422, "Invalid"],
  [500, "InternalError"],
]);

/** The longest warning that API servers pass on, and all of them together, in characters. */
const longestWarning = 256;
const longestWarnings = 4096;

function fitting(warnings: readonly string[]): readonly string[] {
  let room = longestWarnings;
  return warnings
    .map((warning) => (warning.length > longestWarning ? `${warning.slice(0, longestWarning - 1)}…` : warning))
    .filter((warning) => {
      room -= warning.length;
      return room >= 0;
    });
}

/** The AdmissionReview that carries the verdict on the request. */
export function admissionReview(
  { uid, name, kind: reviewed }: Pick<AdmissionRequest, "uid" | "name" | "kind">,
  verdict: Verdict,
): unknown {
  const { allowed, warnings = [] } = verdict;
  const response: Record<string, unknown> = { uid, allowed };
  if (!verdict.allowed) {
    const { code, message, causes = [] } = verdict;
    const details = causes.map(({ field, message }) => ({ reason: "FieldValueInvalid", message, field }));
    response.status = {
      status: "Failure",
      message,
      reason: reasons.get(code) ?? "BadRequest",
      code,
      // kubectl prints these instead of the message.
      ...(causes.length > 0 ? { details: { name, group: reviewed.group, kind: reviewed.kind, causes: details } } : {}),
    };
  } else if (verdict.patch !== undefined && verdict.patch.length > 0) {
    response.patchType = "JSONPatch";
    response.patch = Buffer.from(JSON.stringify(verdict.patch)).toString("base64");
  }
  if (warnings.length > 0) response.warnings = fitting(warnings);
  return { apiVersion, kind, response };
}
