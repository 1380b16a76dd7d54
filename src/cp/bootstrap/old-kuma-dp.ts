import type { IncomingHttpHeaders } from "node:http";
import type { Logger } from "../../lib/logger.js";

/**
 * Whether the request is one of the Kuma project's own kuma-dp, 0.3.0 and after: a program in Go that leaves the name of
 * its HTTP library as it is. Its Envoy speaks xDS v2, and it reads a bootstrap of v2 only. Ours sends no User-Agent.
 */
export function isOldKumaDp(headers: IncomingHttpHeaders): boolean {
  return /^Go-http-client\//.test(headers["user-agent"] ?? "");
}

const sentence =
  "this kuma-dp is too old: its Envoy speaks xDS v2, and this control plane serves v3 only; use the kuma-dp and the " +
  "envoy that come with kuma-cp";

/**
 * What such a kuma-dp is answered. Of an answer that is no success it shows the status alone, so it gets a bootstrap that
 * can't be read: the value of an enum that it doesn't know is part of what it prints before it ends.
 */
export const tooOldDocument = { dynamicResources: { adsConfig: { apiType: sentence } } };

/** What is logged of one that asked. */
export type NoteOld = (who: { readonly mesh: string; readonly name: string; readonly peer: string }) => void;

/** Service managers start it again and again: one line a minute is enough. */
const silentMs = 60_000;

/** Says in the log now and then that a kuma-dp is too old. */
export function createOldLog(logger: Logger, now: () => number = Date.now): NoteOld {
  let logged = Number.NEGATIVE_INFINITY;
  return (who) => {
    const at = now();
    if (at - logged < silentMs && at >= logged) return;
    logged = at;
    logger.error("a kuma-dp is too old: its Envoy speaks xDS v2, and this control plane serves v3 only", { ...who });
  };
}
