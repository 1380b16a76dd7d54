import { isJsonObject } from "../lib/json.js";
import { visible } from "../lib/visible.js";
import { paint } from "./color.js";

/**
 * A mesh's certificate authority as the API describes it, with texts that are safe to print. A newer control plane may
 * have states that are unknown here.
 */
export interface AuthorityStatus {
  readonly mesh: string;
  readonly state: string;
  readonly reason?: string;
  readonly waitingFor?: readonly string[];
  readonly retiresAt?: string;
  /** The validity period of the root that signs certificates. */
  readonly signing?: { readonly notBefore: Date; readonly notAfter: Date };
}

const isText = (value: unknown): value is string => typeof value === "string";

/** The validity period of the signing root; undefined when the API does not include it. */
function readSigning(roots: unknown): AuthorityStatus["signing"] {
  const signing = Array.isArray(roots) ? roots.filter(isJsonObject).find((root) => root.signing === true) : undefined;
  const [notBefore, notAfter] = [signing?.notBefore, signing?.notAfter].map(
    (time) => new Date(isText(time) ? Date.parse(time) : Number.NaN),
  );
  if (notBefore === undefined || notAfter === undefined) return undefined;
  return Number.isNaN(notBefore.getTime() + notAfter.getTime()) ? undefined : { notBefore, notAfter };
}

/** Undefined unless the value has a mesh and a state. */
export function readAuthority(value: unknown): AuthorityStatus | undefined {
  if (!isJsonObject(value)) return undefined;
  const { mesh, state, reason, waitingFor, retiresAt } = value;
  const signing = readSigning(value.roots);
  if (!isText(mesh) || !isText(state)) return undefined;
  return {
    mesh: visible(mesh),
    state: visible(state),
    ...(isText(reason) ? { reason: visible(reason) } : {}),
    ...(Array.isArray(waitingFor) ? { waitingFor: waitingFor.filter(isText).map(visible) } : {}),
    ...(isText(retiresAt) ? { retiresAt: visible(retiresAt) } : {}),
    ...(signing === undefined ? {} : { signing }),
  };
}

/** Most names in a table cell. */
const shownNames = 3;

function names(all: readonly string[]): string {
  const more = all.length - shownNames;
  return all.slice(0, shownNames).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** A short description of the state: what happens, and what it waits for. */
export function describeAuthority({ state, reason, waitingFor = [], retiresAt }: AuthorityStatus): string {
  switch (state) {
    case "distributing":
      return waitingFor.length === 0
        ? "rotating: the new root is about to sign"
        : `rotating: the new root is not trusted yet by ${names(waitingFor)}`;
    case "retiring":
      return `rotating: the new root signs, the old one retires at ${retiresAt ?? "an unknown time"}`;
    case "unusable":
      return `unusable: ${reason ?? "for an unknown reason"}`;
    default:
      return state;
  }
}

/** Warnings about authorities that can't issue certificates. */
export function authorityWarnings(authorities: readonly AuthorityStatus[], color: boolean): string {
  return authorities
    .filter(({ state }) => state === "unusable")
    .map(({ mesh, reason = "" }) => {
      const text = `Warning: mesh "${mesh}" issues no certificates: ${reason}`;
      return `${color ? paint("red", text) : text}\n`;
    })
    .join("");
}
