import type { Allowance, Ledger } from "./ledger.js";
import type { ChaosStage } from "./stage.js";

/** Something that happens to the mesh while connections are made. */
export interface ChaosEvent {
  /** What the report and a failure call it. */
  readonly name: string;
  /** How often it is drawn, relative to the others. */
  readonly weight: number;
  /** Which connections may fail, for how long and why; any other failure ends the run with exit code 1. */
  readonly mayFail: readonly Allowance[];
  /**
   * Makes it happen and undoes it; throws when the mesh does not do what it should. Tells the ledger the moments that its
   * allowances name, and connections of its own that failed.
   */
  run(stage: ChaosStage, ledger: Pick<Ledger, "mark" | "record">): Promise<void>;
}
