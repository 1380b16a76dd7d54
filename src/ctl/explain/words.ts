import { formatDuration } from "../../lib/durations.js";
import { own } from "../../lib/own.js";
import { serviceTag, type Tags } from "../../resources/tags.js";
import type { Certificate, Listener, PolicyMatch } from "./answers.js";

/** For example `service=web version=1`: the service comes first. */
export function tagsText(tags: Tags = {}): string {
  const others = Object.keys(tags).filter((key) => key !== serviceTag);
  const keys = Object.hasOwn(tags, serviceTag) ? [serviceTag, ...others.sort()] : others.sort();
  return keys.length === 0 ? "everything" : keys.map((key) => `${key}=${tags[key]}`).join(" ");
}

/** For example `web-to-redis rules[0]`. */
export const nameText = ({ name = "", rule }: PolicyMatch): string => (rule === undefined ? name : `${name} ${rule}`);

const reasons: Readonly<Record<string, string>> = {
  only: "yes",
  "more-specific": "yes: has the most tags",
  "more-exact": "yes: as many tags as the next one, fewer *",
  "first-by-name": "yes: as specific as the next one, first by name",
  "less-specific": "no: fewer tags",
  "less-exact": "no: as many tags, more *",
  "later-by-name": "no: as specific, later by name",
  "all-apply": "yes",
  "mtls-off": "no: mTLS is off",
  "other-tags": "no: is for other tags",
  "log-directory": "no: the dataplane allows no log file there (KUMA_DATAPLANE_LOG_DIRECTORIES)",
  "no-backend": "no: names no logging backend of the mesh",
};

/** Whether a policy applies, and why. */
export function appliesText({ applies = false, reason = "" }: PolicyMatch): string {
  return own(reasons, reason) ?? `${applies ? "yes" : "no"}: ${reason}`;
}

const dayMs = 24 * 3_600_000;

function leftText(milliseconds: number): string {
  return milliseconds >= 2 * dayMs ? `${Math.floor(milliseconds / dayMs)} days` : formatDuration(milliseconds);
}

/** For example `until 2026-10-31T10:00:00Z, 29 days`. */
export function certificateText({ state = "", notAfter = "", outdated = false }: Certificate, now: Date): string {
  if (state === "missing") return "missing";
  if (state === "expired") return `expired at ${notAfter}`;
  return `until ${notAfter}, ${leftText(Date.parse(notAfter) - now.getTime())}${outdated ? ", for other services" : ""}`;
}

export function listenerText({ state = "", kind, earlier = false, raw = false }: Listener = {}): string {
  const text = state === "unknown" ? "elsewhere" : state;
  return `${text}${kind === undefined ? "" : `, ${kind}`}${earlier ? ", has an earlier one" : ""}${raw ? ", from a ProxyTemplate" : ""}`;
}

export const statusText = (online = false): string => (online ? "Online" : "Offline");
