import type { Logger } from "../lib/logger.js";
import type { Defence } from "./defence.js";
import type { Lifecycle } from "./lifecycle.js";
import type { Metrics } from "./metrics/metrics.js";
import type { Settings } from "./settings.js";

/** What every step of the start gets; what it needs of other steps is a parameter of its own. */
export interface StartContext {
  readonly settings: Settings;
  /** The root; each step logs under a child of it. */
  readonly logger: Logger;
  /** Ends waiting for a store that is not available. */
  readonly signal: AbortSignal;
  readonly lifecycle: Lifecycle;
  readonly metrics: Metrics;
  readonly defence: Defence;
}
