import type { ProxyObservation } from "./observations.js";

/** The certificate by which a proxy says who it is; times are as in RFC 3339. */
export type Certificate = (
  | { readonly state: "live" | "expired"; readonly notAfter: string }
  | { readonly state: "missing" }
) & {
  /** Why the proxy was refused one, or another one. */
  readonly reason?: string;
};

export function certificateOf({ notAfter, turnedDown }: ProxyObservation, now: Date): Certificate {
  const why = turnedDown === undefined ? {} : { reason: turnedDown };
  if (notAfter === undefined) return { state: "missing", ...why };
  const state = notAfter.getTime() > now.getTime() ? "live" : "expired";
  return { state, notAfter: notAfter.toISOString().replace(".000Z", "Z"), ...why };
}
