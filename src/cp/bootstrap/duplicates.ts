import type { Logger } from "../../lib/logger.js";
import type { ProxyId } from "../../xds/node.js";
import type { Presence } from "../insights/presence.js";

export interface DuplicatesOptions {
  readonly presence: Presence;
  readonly logger: Logger;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** Finds the warning for a kuma-dp that starts while another one of the same name is connected. */
export type FindDuplicate = (proxy: ProxyId) => Promise<string | undefined>;

/** A kuma-dp that fails repeatedly is logged once in this time. */
const quietMs = 60_000;
/** How many logged names are remembered; the oldest is evicted first. */
const mostRemembered = 1_000;

/**
 * The returned function resolves to the warning; undefined if no other proxy of that name is connected, or if that is
 * unknown.
 */
export function createDuplicates({ presence, logger, now = Date.now }: DuplicatesOptions): FindDuplicate {
  const logged = new Map<string, number>();

  function log({ mesh, name }: ProxyId, since: Date): void {
    const key = `${mesh}\n${name}`;
    const last = logged.get(key);
    if (last !== undefined && now() - last < quietMs) return;
    logged.delete(key);
    logged.set(key, now());
    for (const oldest of logged.keys()) {
      if (logged.size <= mostRemembered) break;
      logged.delete(oldest);
    }
    logger.warn("a kuma-dp starts under the name of a dataplane whose proxy is connected", { mesh, name, since });
  }

  return async (proxy) => {
    let since: Date | undefined;
    try {
      since = await presence.connectedSince(proxy);
    } catch (error) {
      // The bootstrap must not fail because of a warning.
      logger.debug("could not find out whether a proxy is connected", { ...proxy, error });
      return undefined;
    }
    if (since === undefined) return undefined;
    log(proxy, since);
    return (
      `a proxy of dataplane "${proxy.name}" in mesh "${proxy.mesh}" is already connected, since ${since.toISOString()}. ` +
      "If that is another kuma-dp, give each one a Dataplane of its own; if it is the connection of an earlier run that " +
      "was lost, the control plane notices within about a minute"
    );
  };
}
