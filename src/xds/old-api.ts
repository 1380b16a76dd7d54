import type { Logger } from "../lib/logger.js";
import { type CallError, callError } from "../net/grpc-status.js";

/** The v2 discovery services, with the package names that old Envoys use. */
const oldMethod = /^\/envoy\.(?:service\.(?:discovery|route|load_stats)\.v2|api\.v2)\.\w{1,100}\/\w{1,100}$/;

/** Envoys retry forever, and any peer that reaches the port can imitate one: the log gets one line a minute. */
const silentMs = 60_000;

/** Rejects calls of Envoys that use an older API, and logs them now and then. Returns undefined for other paths. */
export function createOldApi(logger: Logger, now: () => Date): (path: string) => CallError | undefined {
  let logged = Number.NEGATIVE_INFINITY;
  return (path) => {
    if (!oldMethod.test(path)) return undefined;
    const at = now().getTime();
    if (at - logged >= silentMs || at < logged) {
      logged = at;
      logger.error("an Envoy is too old: it requests xDS v2, and this control plane serves v3 only", { method: path });
    }
    return callError("xds.old-api");
  };
}
