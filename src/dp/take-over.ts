import { UserError } from "../lib/errors.js";
import type { Logger } from "../lib/logger.js";
import { leftOvers, removeLeftOver } from "./config-dir.js";
import { endOrphan, judge, readPidRecord } from "./orphan.js";
import type { ProcessTable } from "./process-facts.js";

export interface Dataplane {
  readonly mesh: string;
  readonly name: string;
}

/** Where a killed kuma-dp of the same dataplane may have left something. */
export interface Traces {
  readonly temporary: string;
  /** The directory that the user named, if any. */
  readonly given: string | undefined;
  readonly uid: number;
  readonly processes: ProcessTable;
}

/**
 * Ends the Envoys that killed kuma-dps of this dataplane left and removes their temporary directories. Done right before
 * the new Envoy starts, so that the dataplane serves as long as it can; it must not be later, because two Envoys could
 * share one port. Throws UserError("config-dir.in-use") when the given directory belongs to a living kuma-dp.
 */
export async function takeOver({ mesh, name }: Dataplane, traces: Traces, logger: Logger): Promise<void> {
  const settle = async (directory: string): Promise<"free" | { inUseBy: number }> => {
    const verdict = judge(readPidRecord(directory), traces.processes, traces.uid);
    if (verdict.kind === "in-use") return { inUseBy: verdict.pid };
    if (verdict.kind === "orphan") {
      logger.info("ending the Envoy that a killed kuma-dp left", { pid: verdict.envoy.pid, directory });
      await endOrphan(verdict.envoy, traces.processes);
    }
    return "free";
  };
  for (const directory of leftOvers(traces.temporary, mesh, name, traces.uid)) {
    if ((await settle(directory)) === "free") removeLeftOver(directory);
  }
  if (traces.given === undefined) return;
  const given = await settle(traces.given);
  if (given !== "free") {
    throw new UserError(
      "config-dir.in-use",
      `--config-dir ${traces.given} is in use by kuma-dp with process id ${given.inUseBy}`,
    );
  }
}
