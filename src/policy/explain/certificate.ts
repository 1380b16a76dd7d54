import type { ProxyObservation } from "./observations.js";

/** The state of a proxy's certificate. Times are in RFC 3339. */
export type Certificate = (
  | { readonly state: "live" | "expired"; readonly notAfter: string }
  | { readonly state: "missing" }
) & {
  /** Why the proxy was refused its first or its next certificate. */
  readonly reason?: string;
  /** Its services differ from those of the dataplane's current inbounds. */
  readonly outdated?: true;
};

/** The certificate state of a proxy whose inbounds have these services, sorted. */
export function certificateOf(
  { notAfter, services, refusal }: ProxyObservation,
  current: readonly string[],
  now: Date,
): Certificate {
  const why = refusal === undefined ? {} : { reason: refusal };
  if (notAfter === undefined) return { state: "missing", ...why };
  const state = notAfter.getTime() > now.getTime() ? "live" : "expired";
  const upToDate = services === undefined || services.join("\n") === current.join("\n");
  const outdated = upToDate ? {} : ({ outdated: true } as const);
  return { state, notAfter: notAfter.toISOString().replace(".000Z", "Z"), ...why, ...outdated };
}
