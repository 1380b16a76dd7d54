// What another process has cost so far, as the kernel counts it.
import { readFileSync } from "node:fs";

/** The kernel's unit of processor time, which is the same on every Linux. */
const ticksPerSecond = 100;
const pageBytes = 4096;

/** Seconds of processor time, user and system, of all its threads. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name of the program, in parentheses, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** Bytes of memory that are resident. */
export function residentBytesOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * pageBytes;
}
