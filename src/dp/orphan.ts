import path from "node:path";
import { sleep } from "../lib/deadline.js";
import { isJsonObject, parseJsonObject } from "../lib/json.js";
import { readOwnFile, writeOwnFile } from "./own-file.js";
import type { ProcessTable } from "./process-facts.js";

export interface Recorded {
  readonly pid: number;
  readonly startTime: string;
}

/** The content of `envoy.pid`: which kuma-dp runs which Envoy for which dataplane. */
export interface PidRecord {
  readonly mesh: string;
  readonly name: string;
  readonly kumaDp: Recorded;
  /** Missing until Envoy was started. */
  readonly envoy?: RecordedEnvoy;
  /** The Envoy that `envoy` takes over or took over from; it may still be running. */
  readonly predecessor?: RecordedEnvoy;
}

export interface RecordedEnvoy extends Recorded {
  readonly executable: string;
  /** Its restart epoch; missing when it can't be replaced by hot restart. */
  readonly epoch?: number;
}

/** The state of a config dir that an earlier run left or another one still uses. */
export type Verdict =
  /** There is no record, or none of its processes is alive: the directory is free. */
  | { readonly kind: "free" }
  /** Its kuma-dp is alive. */
  | { readonly kind: "in-use"; readonly pid: number }
  /** Its kuma-dp is gone, but its Envoys (two during a reload) still hold the dataplane's ports. */
  | { readonly kind: "orphan"; readonly envoys: readonly [Recorded, ...Recorded[]] };

export const pidFile = "envoy.pid";

/** A record contains names and one path. */
const longestRecord = 64 * 1024;

function isRecorded(value: unknown): value is Recorded {
  if (!isJsonObject(value)) return false;
  return Number.isSafeInteger(value.pid) && Number(value.pid) > 1 && typeof value.startTime === "string";
}

function isRecordedEnvoy(value: unknown): value is RecordedEnvoy {
  if (!isRecorded(value) || !("executable" in value) || typeof value.executable !== "string") return false;
  return !("epoch" in value) || Number.isSafeInteger(value.epoch);
}

/** Parses a pid file; undefined when it is not one of ours. */
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

/** Atomically writes the pid file: a reader never sees part of it. */
export function writePidRecord(directory: string, record: PidRecord): void {
  writeOwnFile(directory, pidFile, `${JSON.stringify(record)}\n`);
}

/** The record in a config dir; undefined unless we wrote it, because another user's record could make us kill processes. */
export function readPidRecord(directory: string): PidRecord | undefined {
  try {
    const text = readOwnFile(path.join(directory, pidFile), longestRecord);
    return text === undefined ? undefined : parsePidRecord(text);
  } catch {
    // Missing, or a link: in both cases we must not act on it.
    return undefined;
  }
}

/**
 * Compares a record with the running processes. An Envoy is an orphan only when its uid is ours, its start time is the
 * recorded one, it still runs the recorded binary, and its kuma-dp is gone. A reused process ID fails one of these
 * checks; process names are never compared.
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
 * Ends an orphaned Envoy with SIGTERM, and with SIGKILL after `patience` milliseconds. Resolves once it is gone. It is
 * not drained: its successor takes over the ports at once, and two Envoys must not share them.
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
