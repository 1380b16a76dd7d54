import fs from "node:fs";
import type { Running } from "../../support/executable.js";

/** What a process may take, in bytes and counts. */
export const bounds = {
  /** Resident memory at any time. */
  memory: 600e6,
  /** Resident memory once every hostile connection is gone, after at most `shortRun` floods. */
  memoryAtRest: 350e6,
  /** Open files above those at the start, once every hostile connection is gone. */
  openFilesAtRest: 10,
  /** One line of the log. */
  logLine: 16 * 1024,
  /** Log of one flood. */
  log: 2e6,
};

const shortRun = 100;
/** From this many floods on, the second half of a run may take at most so many times the memory of the first. */
const longRun = 400;
const mostGrowth = 1.25;

/**
 * What is wrong with the memory of a process that came to rest; undefined when nothing is. After a short run it has to
 * be given back. A long run ends with garbage that V8 leaves alone: its memory reducer, which collects while a process
 * is idle, stops after two collections and starts again only when more than 1.1 times as much is committed. There the
 * memory has to level off.
 * @param now resident memory, in bytes
 * @param floods resident memory after each flood
 */
export function restingProblem(now: number, floods: readonly number[]): string | undefined {
  if (now <= bounds.memoryAtRest) return undefined;
  if (floods.length <= shortRun) return `${megabytes(now)} at rest, over ${megabytes(bounds.memoryAtRest)}`;
  if (floods.length < longRun) return undefined;
  const half = Math.floor(floods.length / 2);
  const [first, second] = [Math.max(...floods.slice(0, half)), Math.max(...floods.slice(half))];
  if (second <= first * mostGrowth) return undefined;
  return `${megabytes(second)} in the second half of ${floods.length} floods, ${megabytes(first)} in the first`;
}

const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;

/** What the log of a control plane that works never says; what it says of a lying peer is not among it. */
const signsOfABug: readonly RegExp[] = [
  /\b(Uncaught|Unhandled|unhandledRejection|uncaughtException)\b/,
  /\b(Type|Range|Reference|Syntax)Error\b/,
  /ERR_(HTTP2|STREAM|INTERNAL|INVALID_ARG|HTTP)_\w+/,
  /^ {4}at /m,
  /Internal Server Error/,
  /could not be handled/,
  /request failed/,
  /server failed/,
  /could not generate a bootstrap/,
  /no configuration could be generated/,
  /a change was not taken in everywhere/,
  /the change feed failed/,
  /could not (write|collect|close)/,
  /no certificate could be issued/,
  /heap out of memory|Assertion .*failed|nghttp2/,
];

export interface Vitals {
  /** Resident memory now, in bytes. */
  memory(): number;
  openFiles(): number;
  /** @throws when the process has ended, is too large, or its log says something that it never should */
  check(): void;
  /** The largest resident memory that `check` has seen. */
  peak(): number;
}

/** Follows a process from its start. */
export function followVitals({ child, output }: Running): Vitals {
  const pid = child.pid ?? 0;
  let read = output().length;
  let peak = 0;

  function memory(): number {
    try {
      const status = fs.readFileSync(`/proc/${pid}/status`, "utf8");
      return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
      throw error;
    }
  }

  return {
    memory,
    openFiles: () => fs.readdirSync(`/proc/${pid}/fd`).length,
    peak: () => peak,
    check() {
      if (child.exitCode !== null || child.signalCode !== null) {
        // An earlier read may have got only the beginning of its last output.
        const words = output().slice(-3000).trim().split("\n").slice(-15).join("\n");
        throw new Error(`kuma-cp ended (exit code ${child.exitCode}, signal ${child.signalCode}): ${words}`);
      }
      const fresh = output().slice(read);
      // The last line may not be whole yet.
      const end = fresh.lastIndexOf("\n") + 1;
      read += end;
      const lines = fresh.slice(0, end);
      for (const sign of signsOfABug) {
        const at = lines.search(sign);
        if (at < 0) continue;
        const words = lines.slice(lines.lastIndexOf("\n", at) + 1, at + 600);
        throw new Error(`the log says what it never should (${sign}): ${words.slice(0, 1500)}`);
      }
      if (lines.length > bounds.log) throw new Error(`one flood made ${megabytes(lines.length)} of log`);
      const long = lines.split("\n").find((line) => line.length > bounds.logLine);
      if (long !== undefined) {
        throw new Error(`a line of the log has ${long.length} bytes, over ${bounds.logLine}: ${long.slice(0, 300)}`);
      }
      const now = memory();
      peak = Math.max(peak, now);
      if (now > bounds.memory) throw new Error(`kuma-cp takes ${megabytes(now)}, over ${megabytes(bounds.memory)}`);
    },
  };
}
