import { UserError } from "../lib/errors.js";
import { isJsonObject, parseJsonObject } from "../lib/json.js";
import { visible } from "../lib/visible.js";
import type { Answer } from "../net/http-client.js";
import { type Difference, differences } from "./diff.js";

/** The version in the index of a Kuma control plane; undefined for other servers. */
export function kumaVersion({ status, body }: Answer): string | undefined {
  if (status !== 200) return undefined;
  const index = parseJsonObject(body);
  if (index?.tagline !== "Kuma") return undefined;
  return typeof index.version === "string" ? visible(index.version) : "unknown";
}

/** The error for a path that this release has, but the control plane of this version does not. */
export const olderError = (version: string, path: string): UserError =>
  UserError.of("api.older", { version, path: visible(path.split("?", 1)[0] ?? "") });

/** More would not help. */
const shownFields = 5;

/** Kuma 0.3 leaves fields with their type's default value out of responses. */
function isDefault(value: unknown): boolean {
  if (isJsonObject(value)) return Object.values(value).every(isDefault);
  return (
    value === false || value === 0 || value === "" || value === null || (Array.isArray(value) && value.length === 0)
  );
}

const isDropped = ({ kind, before }: Difference) => kind === "removed" && !isDefault(before);

/** Warnings about fields that the control plane has dropped: Kuma 0.3 drops unknown fields and still reports success. */
export function droppedWarnings(sent: unknown, kept: unknown): readonly string[] {
  if (kept === undefined) return [];
  const fields = differences(sent, kept)
    .filter(isDropped)
    .map(({ path }) => path);
  if (fields.length === 0) return [];
  const more = fields.length - shownFields;
  const named = fields.slice(0, shownFields).join(", ") + (more > 0 ? ` and ${more} more` : "");
  return [`this Control Plane, which is older than this kumactl, has dropped what it doesn't know: ${visible(named)}`];
}
