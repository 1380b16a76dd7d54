import path from "node:path";
import { sleep } from "../lib/deadline.js";
import { isJsonObject, parseJsonObject } from "../lib/json.js";
import { readOwnFile, writeOwnFile } from "./own-file.js";
import type { ProcessTable } from "./process-facts.js";

export interface Recorded {
  readonly pid: number;
  readonly startTime: string;
}

/** The content of `envoy.pid`: who runs which Envoy for which dataplane. */
export interface PidRecord {
  readonly mesh: string;
  readonly name: string;
  readonly kumaDp: Recorded;
  /** Absent until Envoy was started. */
  readonly envoy?: RecordedEnvoy;
  /** The Envoy that it takes over from, or took over from, and that may still be there. */
  readonly predecessor?: RecordedEnvoy;
}

export interface RecordedEnvoy extends Recorded {
  readonly executable: string;
  /** Its restart epoch; absent when it can't be replaced by hot restart. */
  readonly epoch?: number;
}

/** What to do about a config dir that somebody left or still uses. */
export type Verdict =
  /** No record, or nothing of it lives any more: the directory is free. */
  | { readonly kind: "free" }
  /** Its kuma-dp lives. */
  | { readonly kind: "in-use"; readonly pid: number }
  /** Its kuma-dp is gone and its Envoys, two during a reload, still hold the dataplane's ports. */
  | { readonly kind: "orphan"; readonly envoys: readonly [Recorded, ...Recorded[]] };

export const pidFile = "envoy.pid";

/** Names and one path are in it. */
const longestRecord = 64 * 1024;

function isRecorded(value: unknown): value is Recorded {
  if (!isJsonObject(value)) return false;
  return Number.isSafeInteger(value.pid) && Number(value.pid) > 1 && typeof value.startTime === "string";
}

function isRecordedEnvoy(value: unknown): value is RecordedEnvoy {
  if (!isRecorded(value) || !("executable" in value) || typeof value.executable !== "string") return false;
  return !("epoch" in value) || Number.isSafeInteger(value.epoch);
}

/** Reads a pid file's text; undefined when it is not one of ours. */
export function parsePidRecord(text: string): PidRecord | undefined {
  const value = parseJsonObject(text);
  if (value === undefined) return undefined;
  const { mesh, name, kumaDp, envoy, predecessor } = value;
  if (typeof mesh !== "string" || typeof name !== "string" || !isRecorded(kumaDp)) return undefined;
  if (envoy === undefined) return { mesh, name, kumaDp };
  if (!isRecordedEnvoy(envoy)) return undefined;
  if (predecessor === undefined) return { mesh, name, kumaDp, envoy };
  return isRecordedEnvoy(predecessor) ? { mesh, name, kumaDp, envoy, predecessor } : undefined;
}

/** Writes the pid file in one step, so that a reader never sees half of it. */
export function writePidRecord(directory: string, record: PidRecord): void {
  writeOwnFile(directory, pidFile, `${JSON.stringify(record)}\n`);
}

/** The record in a config dir, undefined when there is none that we wrote: another user's would have us end processes. */
export function readPidRecord(directory: string): PidRecord | undefined {
  try {
    const text = readOwnFile(path.join(directory, pidFile), longestRecord);
    return text === undefined ? undefined : parsePidRecord(text);
  } catch {
    // Absent, or a link: either way nothing that we may act upon.
    return undefined;
  }
}

/**
 * Judges a record by what runs now. An Envoy is an orphan only when it is ours by uid, started when the record
 * says, still runs the recorded Envoy binary, and its kuma-dp is gone. A reused process number fails one of
 * these; names of processes never count.
 */
export function judge(record: PidRecord | undefined, processes: ProcessTable, uid: number): Verdict {
  if (record === undefined) return { kind: "free" };
  const owner = processes(record.kumaDp.pid);
  if (owner !== undefined && owner.startTime === record.kumaDp.startTime) {
    return { kind: "in-use", pid: record.kumaDp.pid };
  }
  const lives = (envoy: RecordedEnvoy | undefined): envoy is RecordedEnvoy => {
    const facts = envoy && processes(envoy.pid);
    return facts?.uid === uid && facts.startTime === envoy?.startTime && facts.executable === envoy.executable;
  };
  const [envoy, ...others] = [record.envoy, record.predecessor].filter(lives);
  return envoy === undefined ? { kind: "free" } : { kind: "orphan", envoys: [envoy, ...others] };
}

/**
 * Ends an orphaned Envoy: SIGTERM, and SIGKILL after `patience` milliseconds. Resolves once it is gone.
 * It is not drained: its successor takes over the ports at once, and two Envoys must not share them.
 */
export async function endOrphan(envoy: Recorded, processes: ProcessTable, patience = 3000): Promise<void> {
  const lives = () => processes(envoy.pid)?.startTime === envoy.startTime;
  const deadline = Date.now() + patience;
  if (lives()) process.kill(envoy.pid, "SIGTERM");
  while (lives()) {
    if (Date.now() >= deadline) process.kill(envoy.pid, "SIGKILL");
    await sleep(20);
  }
}
