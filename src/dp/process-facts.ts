import { readFileSync, readlinkSync, statSync } from "node:fs";

/** What the kernel says about a live process. The start time distinguishes it from a later process with the same ID. */
export interface ProcessFacts {
  readonly uid: number;
  /** Clock ticks after boot, as in /proc. */
  readonly startTime: string;
  /** The path of its binary; undefined when we lack permission to read it. */
  readonly executable: string | undefined;
}

/** Looks up a process; undefined when it is gone (zombies count as gone) or when there is no /proc. */
export type ProcessTable = (pid: number) => ProcessFacts | undefined;

/** Parses the state and start time in /proc/PID/stat. The command name in it may contain blanks and parentheses. */
function parseStat(stat: string): { state: string; startTime: string } | undefined {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, startTime] = [fields[0], fields[19]];
  return state !== undefined && startTime !== undefined ? { state, startTime } : undefined;
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    // Processes come and go, and those of other users may be unreadable: neither is an error.
    return undefined;
  }
}

/** Whether this process has a controlling terminal, which sends SIGHUP when it closes. Without /proc the answer is true. */
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
  // The kernel marks a binary that was replaced on disk (an upgrade) this way. It is still the same program.
  const executable = attempt(() => readlinkSync(`${directory}/exe`).replace(/ \(deleted\)$/, ""));
  return { uid, startTime: stat.startTime, executable };
};
