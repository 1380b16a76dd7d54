import type { IncomingHttpHeaders } from "node:http";
import type { Logger } from "../../lib/logger.js";

/**
 * Whether the request comes from the Kuma project's own kuma-dp, 0.3.0 or later: a Go program with the default
 * User-Agent. Its Envoy speaks xDS v2, and it only reads a v2 bootstrap. Our kuma-dp sends no User-Agent.
 */
export function isOldKumaDp(headers: IncomingHttpHeaders): boolean {
  return /^Go-http-client\//.test(headers["user-agent"] ?? "");
}

const sentence =
  "this kuma-dp is too old: its Envoy supports xDS v2, and this control plane serves v3 only; use the kuma-dp and the " +
  "envoy that come with kuma-cp";

/**
 * The response to such a kuma-dp. It prints only the status of an error response, so it gets an invalid bootstrap
 * instead: before it exits, it prints the unknown enum value, which is our message.
 */
export const tooOldBootstrap = { dynamicResources: { adsConfig: { apiType: sentence } } };

/** Logs a request of a too old kuma-dp. */
export type NoteOld = (who: { readonly mesh: string; readonly name: string; readonly peer: string }) => void;

/** Service managers restart it repeatedly: one line a minute is enough. */
const silentMs = 60_000;

/** Logs that a kuma-dp is too old, at most once per `silentMs`. */
export function createOldLog(logger: Logger, now: () => number = Date.now): NoteOld {
  let logged = Number.NEGATIVE_INFINITY;
  return (who) => {
    const at = now();
    if (at - logged < silentMs && at >= logged) return;
    logged = at;
    logger.error("a kuma-dp is too old: its Envoy supports xDS v2, and this control plane serves v3 only", { ...who });
  };
}
