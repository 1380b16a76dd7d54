import { readFileSync, readlinkSync, statSync } from "node:fs";

/** What the kernel says about a live process; the start time tells it from a later process with the same number. */
export interface ProcessFacts {
  readonly uid: number;
  /** Clock ticks after boot, as /proc writes it. */
  readonly startTime: string;
  /** The binary it runs, undefined where we may not look. */
  readonly executable: string | undefined;
}

/** Looks a process up; undefined when it is gone (a zombie is gone too) or where there is no /proc. */
export type ProcessTable = (pid: number) => ProcessFacts | undefined;

/** State and start time out of /proc/PID/stat; the command in it may itself hold blanks and parentheses. */
function parseStat(stat: string): { state: string; startTime: string } | undefined {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, startTime] = [fields[0], fields[19]];
  return state !== undefined && startTime !== undefined ? { state, startTime } : undefined;
}

function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    // Processes come and go between two looks, and others' may be closed to us: both are "nothing to see".
    return undefined;
  }
}

/** Whether this process has a controlling terminal, whose end is told by SIGHUP. Without /proc it counts as having one. */
export function hasTerminal(): boolean {
  const stat = attempt(() => readFileSync("/proc/self/stat", "latin1"));
  const terminal = stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[4];
  return terminal !== "0";
}

/** The process table of this machine. */
export const processTable: ProcessTable = (pid) => {
  const directory = `/proc/${pid}`;
  const stat = attempt(() => parseStat(readFileSync(`${directory}/stat`, "latin1")));
  const uid = attempt(() => statSync(directory).uid);
  if (stat === undefined || uid === undefined || stat.state === "Z" || stat.state === "X") return undefined;
  // The kernel marks a binary that was replaced on disk (an upgrade) this way; it is still the same program.
  const executable = attempt(() => readlinkSync(`${directory}/exe`).replace(/ \(deleted\)$/, ""));
  return { uid, startTime: stat.startTime, executable };
};
