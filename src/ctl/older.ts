import { UserError } from "../lib/errors.js";
import { isJsonObject, parseJsonObject } from "../lib/json.js";
import { visible } from "../lib/visible.js";
import type { Answer } from "../net/http-client.js";
import { type Difference, differences } from "./diff.js";

/** The version that the index of a Kuma control plane names; undefined for the answer of any other server. */
export function kumaVersion({ status, body }: Answer): string | undefined {
  if (status !== 200) return undefined;
  const index = parseJsonObject(body);
  if (index?.tagline !== "Kuma") return undefined;
  return typeof index.version === "string" ? visible(index.version) : "unknown";
}

/** The error for a path that a control plane of this release has, and the one of this version has not. */
export const olderError = (version: string, path: string): UserError =>
  UserError.of("api.older", { version, path: visible(path.split("?", 1)[0] ?? "") });

/** More are no help. */
const shownFields = 5;

/** Fields with the default value of their type are left out of what Kuma 0.3 answers. */
function isDefault(value: unknown): boolean {
  if (isJsonObject(value)) return Object.values(value).every(isDefault);
  return (
    value === false || value === 0 || value === "" || value === null || (Array.isArray(value) && value.length === 0)
  );
}

const isDropped = ({ kind, before }: Difference) => kind === "removed" && !isDefault(before);

/**
 * What to warn of when a control plane has kept less than it was sent: those of Kuma 0.3 drop what they don't know and
 * answer that all went well.
 */
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
