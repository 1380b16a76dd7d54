import type { Stored } from "../store/store.js";

/** A part of a policy that is about a proxy and has no effect on it. */
export interface Ignored {
  readonly policy: Stored;
  /** Where it stands in the policy: `rules[1].conf.backend`. */
  readonly field: string;
  readonly reason: string;
}

/**
 * Why something that writes to a file is left out for a proxy. The same for all proxies: the log has it once, and
 * `kumactl inspect dataplane` tells of each proxy.
 */
export const outsideText = (file: string): string =>
  `some dataplanes allow no log file ${JSON.stringify(file)}: it is below none of their KUMA_DATAPLANE_LOG_DIRECTORIES`;
