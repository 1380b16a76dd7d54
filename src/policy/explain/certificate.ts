import type { ProxyObservation } from "./observations.js";

/** The certificate by which a proxy says who it is; times are as in RFC 3339. */
export type Certificate = (
  | { readonly state: "live" | "expired"; readonly notAfter: string }
  | { readonly state: "missing" }
) & {
  /** Why the proxy was refused one, or another one. */
  readonly reason?: string;
  /** It names other services than the dataplane offers by now. */
  readonly outdated?: true;
};

/** The certificate of a proxy that is to be these services, sorted. */
export function certificateOf(
  { notAfter, services, refusal }: ProxyObservation,
  offered: readonly string[],
  now: Date,
): Certificate {
  const why = refusal === undefined ? {} : { reason: refusal };
  if (notAfter === undefined) return { state: "missing", ...why };
  const state = notAfter.getTime() > now.getTime() ? "live" : "expired";
  const current = services === undefined || services.join("\n") === offered.join("\n");
  const outdated = current ? {} : ({ outdated: true } as const);
  return { state, notAfter: notAfter.toISOString().replace(".000Z", "Z"), ...why, ...outdated };
}
