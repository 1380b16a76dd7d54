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

/** How this process was started, with everything needed to start it again. */
export interface Invocation {
  /** The first word of the command line, as typed. */
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
 * The executable that the same command line starts today. Links are resolved again: they may have changed since this
 * process was started.
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
      // Missing or not executable: try the next one.
      return false;
    }
  });
  if (found === undefined) throw UserError.of("reload.no-executable", { program });
  return found;
}

/**
 * Makes the executable check that it could run with the same arguments, before this process gives anything up.
 * @throws UserError `reload.impossible` with its error message when it could not
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

/** Why the running Envoy can't hand over to the new one; undefined when it can. */
export async function handoverObstacle(
  running: Recorded & { readonly epoch?: number },
  { envoy, hotRestartVersion: next }: CheckReport,
  unprepared: string | undefined,
): Promise<string | undefined> {
  if (running.epoch === undefined) return unprepared ?? "the running Envoy was started without hot restart";
  // The running binary, even when its file was replaced or removed.
  const present = await hotRestartVersion(`/proc/${running.pid}/exe`);
  if (present === next) return undefined;
  return `the running Envoy has hot restart version ${present}, but ${envoy} has ${next}`;
}

/** Why this process can't execute itself; undefined when it can. */
export function executionObstacle(): string | undefined {
  if (!isSea()) return "kuma-dp does not run as a standalone executable";
  return process.execve === undefined ? "this runtime can't execute another program in its place" : undefined;
}

/**
 * Opens the FIFO, so that it keeps a reader. Then runs and waits for a child: that also reaps the exited children that
 * this process had before, which nobody else would wait for. Then executes the program. Without a shell they remain
 * zombies while kuma-dp runs, one per reload.
 */
const shellScript = `trap "" HUP; [ -p "$1" ] && command exec 9<>"$1"; shift; "$0" -c :; exec "$@"`;

/**
 * Executes the executable in place of this process, with the same process ID, arguments and environment. Does not
 * return.
 * @param handover the config dir of the run to continue; omit it for a fresh start
 */
export function becomeExecutable(
  executable: string,
  { args, env, workingDirectory }: Invocation,
  handover?: string,
): never {
  // Relative paths in the arguments must keep their meaning.
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
