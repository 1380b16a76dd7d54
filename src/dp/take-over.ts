import { UserError } from "../lib/errors.js";
import type { Logger } from "../lib/logger.js";
import { examineGiven, leftOvers, removeLeftOver } from "./config-dir.js";
import { removeSharedMemory } from "./hot-restart.js";
import { endOrphan, judge, readPidRecord } from "./orphan.js";
import type { ProcessTable } from "./process-facts.js";

export interface Dataplane {
  readonly mesh: string;
  readonly name: string;
}

/** Where a killed kuma-dp of the same dataplane may have left files or processes. */
export interface Traces {
  readonly temporary: string;
  /** The directory that the user named, if any. */
  readonly given: string | undefined;
  readonly uid: number;
  readonly processes: ProcessTable;
}

/**
 * Ends the Envoys that killed kuma-dps of this dataplane left behind and removes their temporary directories. Call it
 * right before the new Envoy starts, so that the dataplane serves as long as possible, but not later, because two
 * Envoys could share one port. Resolves with whether an Envoy was ended.
 * @throws UserError("config-dir.in-use") when the given directory belongs to a live kuma-dp, or to the Envoy of another
 * dataplane, which we must not end, and UserError("config-dir.unusable") when others could have written its content
 */
export async function takeOver({ mesh, name }: Dataplane, traces: Traces, logger: Logger): Promise<boolean> {
  let ended = false;
  /** Frees a directory. When it can't be freed, resolves with who holds it. */
  const freeDirectory = async (directory: string): Promise<string | undefined> => {
    const record = readPidRecord(directory);
    // A record of this very process is from before it executed itself.
    const others: ProcessTable = (pid) => (pid === process.pid ? undefined : traces.processes(pid));
    const verdict = judge(record, others, traces.uid);
    if (verdict.kind === "free") {
      // Exited Envoys leave it behind, too.
      if (record !== undefined) removeSharedMemory(directory);
      return undefined;
    }
    if (verdict.kind === "in-use") return `kuma-dp with process id ${verdict.pid}`;
    const [{ pid }] = verdict.envoys;
    if (record?.mesh !== mesh || record.name !== name) {
      return `the Envoy of dataplane ${record?.name} of mesh ${record?.mesh}, process id ${pid}, whose kuma-dp is gone`;
    }
    for (const envoy of verdict.envoys) {
      logger.info("stopping the Envoy that a killed kuma-dp left behind", { pid: envoy.pid, directory });
      await endOrphan(envoy, traces.processes);
    }
    removeSharedMemory(directory);
    ended = true;
    return undefined;
  };
  for (const directory of leftOvers(traces.temporary, mesh, name, traces.uid)) {
    if ((await freeDirectory(directory)) === undefined) removeLeftOver(directory);
  }
  if (traces.given === undefined) return ended;
  examineGiven(traces.given);
  const holder = await freeDirectory(traces.given);
  if (holder !== undefined) throw UserError.of("config-dir.in-use", { directory: traces.given, holder });
  return ended;
}
