import type { Stored } from "../store/store.js";

/** A part of a policy that matches a proxy but has no effect on it. */
export interface Ignored {
  readonly policy: Stored;
  /** Its path in the policy: `rules[1].conf.backend`. */
  readonly field: string;
  readonly reason: string;
}

/**
 * Why something that writes to a file is left out for a proxy. The text is the same for all proxies, so that the log
 * has it once; `kumactl inspect dataplane` shows it for each proxy.
 */
export const outsideText = (file: string): string =>
  `some dataplanes allow no log file ${JSON.stringify(file)}: it is below none of their KUMA_DATAPLANE_LOG_DIRECTORIES`;
