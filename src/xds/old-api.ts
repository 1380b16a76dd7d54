import type { Logger } from "../lib/logger.js";
import { type CallError, callError } from "../net/grpc-status.js";

/** The discovery services of the API before v3, in the packages that Envoys of that time use. */
const oldMethod = /^\/envoy\.(?:service\.(?:discovery|route|load_stats)\.v2|api\.v2)\.\w{1,100}\/\w{1,100}$/;

/** Envoys try again for ever, and whoever reaches the port may look like one: one line a minute is enough. */
const silentMs = 60_000;

/** What Envoys that speak an older API are told; and the log, now and then. Undefined for paths of other kinds. */
export function createOldApi(logger: Logger, now: () => Date): (path: string) => CallError | undefined {
  let logged = Number.NEGATIVE_INFINITY;
  return (path) => {
    if (!oldMethod.test(path)) return undefined;
    const at = now().getTime();
    if (at - logged >= silentMs || at < logged) {
      logged = at;
      logger.error("an Envoy is too old: it asks for xDS v2, and this control plane serves v3 only", { method: path });
    }
    return callError("xds.old-api");
  };
}
