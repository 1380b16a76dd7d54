import type { Stored } from "../store/store.js";

/** A part of a policy that is about a proxy and has no effect on it. */
export interface Ignored {
  readonly policy: Stored;
  /** Where it stands in the policy: `rules[1].conf.backend`. */
  readonly field: string;
  readonly reason: string;
}
