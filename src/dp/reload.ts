import { execFile } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import path from "node:path";
import { isSea } from "node:sea";
import { messageOf, UserError } from "../lib/errors.js";
import { files } from "./config-dir.js";
import { handoverVariable } from "./executed.js";
import { hotRestartVersion } from "./hot-restart.js";
import type { Recorded } from "./orphan.js";
import { hasShell, shell } from "./shell.js";

/** How this process was started: all that it takes to start it once more. */
export interface Invocation {
  /** The first word, as it was typed. */
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
}

/** What `kuma-dp run --check` prints. */
export interface CheckReport {
  readonly envoy: string;
  readonly hotRestartVersion: string;
}

const checkMs = 30_000;

/**
 * The executable that the same words start today: where a link leads by now, and not where it led when this process was
 * started.
 * @throws UserError `reload.no-executable` when there is none
 */
export function executableOf({ program, env, workingDirectory }: Invocation): string {
  const places = program.includes("/")
    ? [path.resolve(workingDirectory, program)]
    : (env.PATH ?? "")
        .split(path.delimiter)
        .filter((directory) => path.isAbsolute(directory))
        .map((directory) => path.join(directory, program));
  const found = places.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return statSync(file).isFile();
    } catch {
      // Absent, or not ours to run: the next one's turn.
      return false;
    }
  });
  if (found === undefined) throw UserError.of("reload.no-executable", { program });
  return found;
}

/**
 * Has the executable check that it could run with the same words, before anything is let go of.
 * @throws UserError `reload.impossible` with its own words when it could not
 */
export function checkExecutable(executable: string, { args, env, workingDirectory }: Invocation): Promise<CheckReport> {
  return new Promise((resolve, reject) => {
    const options = { env, cwd: workingDirectory, timeout: checkMs, maxBuffer: 1024 * 1024 };
    execFile(executable, [...args, "--check"], options, (error, stdout, stderr) => {
      try {
        if (error !== null) throw new Error(stderr.trim() || messageOf(error));
        const { envoy, hotRestartVersion: version }: Partial<CheckReport> = JSON.parse(stdout);
        if (typeof envoy !== "string" || typeof version !== "string") throw new Error("its report is incomplete");
        resolve({ envoy, hotRestartVersion: version });
      } catch (reason) {
        reject(UserError.of("reload.impossible", { executable, reason }));
      }
    });
  });
}

/** Why the Envoy that runs can't hand over to the new one; undefined when it can. */
export async function handoverObstacle(
  running: Recorded & { readonly epoch?: number },
  { envoy, hotRestartVersion: next }: CheckReport,
  unprepared: string | undefined,
): Promise<string | undefined> {
  if (running.epoch === undefined) return unprepared ?? "the Envoy that runs was started without hot restart";
  // The program that runs, also when its file was replaced or removed.
  const present = await hotRestartVersion(`/proc/${running.pid}/exe`);
  if (present === next) return undefined;
  return `hot restart of the Envoy that runs has version ${present}, and that of ${envoy} has ${next}`;
}

/** Why this process can't execute itself; undefined when it can. */
export function executionObstacle(): string | undefined {
  if (!isSea()) return "kuma-dp does not run as an executable of its own";
  return process.execve === undefined ? "this runtime can't execute another program in its place" : undefined;
}

/**
 * Opens the FIFO, so that it keeps a reader meanwhile; waits for a child, and with it for all that have ended and that
 * nobody else would wait for any more: those that the process had before; then becomes the program. Without a shell they
 * stay zombies for as long as kuma-dp runs, one for each reload.
 */
const shellScript = `trap "" HUP; [ -p "$1" ] && command exec 9<>"$1"; shift; "$0" -c :; exec "$@"`;

/**
 * Becomes the executable, with the same process id, words and environment. Does not return.
 * @param handover the config dir whose run goes on; left out to start afresh
 */
export function becomeExecutable(
  executable: string,
  { args, env, workingDirectory }: Invocation,
  handover?: string,
): never {
  // Relative paths among the words mean what they meant at first.
  process.chdir(workingDirectory);
  const kept = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const all = { ...Object.fromEntries(kept), ...(handover === undefined ? {} : { [handoverVariable]: handover }) };
  const fifo = handover === undefined ? "" : path.join(handover, files.accessLogs);
  const execve = process.execve;
  if (execve === undefined) throw new Error("unreachable: executionObstacle says so before");
  if (hasShell()) execve(shell, [shell, "-c", shellScript, shell, fifo, executable, ...args], all);
  else execve(executable, [executable, ...args], all);
  throw new Error(`${executable} could not be executed`);
}
