import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { Readable } from "node:stream";
import { UserError } from "../lib/errors.js";
import type { LogLevel } from "../lib/logger.js";
import { envoyEnvironment } from "./envoy-environment.js";
import { type Generation, hotRestartArguments } from "./hot-restart.js";
import { killProcess } from "./kill-process.js";
import { hasShell, shell } from "./shell.js";
import type { Child } from "./supervisor.js";

export interface EnvoyStart {
  readonly binary: string;
  /** Relative to the working directory that this process and Envoy share: the config dir. */
  readonly bootstrapFile: string;
  /** In milliseconds; Envoy takes whole seconds. */
  readonly drainTime: number;
  readonly concurrency: number;
  readonly logLevel: LogLevel;
  /** Undefined without hot restart: this Envoy can neither take over from another one nor be replaced by one. */
  readonly generation: Generation | undefined;
}

/**
 * By default Envoy logs warnings and errors. At `info` its component `main` stays at `warning`, because it logs several
 * screens of compiled-in extensions at startup.
 */
const logArguments: Readonly<Record<LogLevel, readonly string[]>> = {
  off: ["--log-level", "warning"],
  info: ["--log-level", "info", "--component-log-level", "main:warning"],
  debug: ["--log-level", "debug"],
};

function envoyArguments(start: EnvoyStart): string[] {
  const drainSeconds = Math.max(1, Math.round(start.drainTime / 1000));
  return [
    "-c",
    start.bootstrapFile,
    "--drain-time-s",
    String(drainSeconds),
    ...hotRestartArguments(start.generation, drainSeconds),
    // Envoy's default of ten seconds is too long for people who follow access logs.
    "--file-flush-interval-msec",
    "1000",
    "--concurrency",
    String(start.concurrency),
    ...logArguments[start.logLevel],
  ];
}

/**
 * With hot restart Envoy sets PR_SET_PDEATHSIG, so that the kernel ends it together with its parent, but Envoy must
 * keep serving when kuma-dp is killed. Its parent is therefore a shell, which reports Envoy's process id, waits, and
 * passes on its exit status. Variables that a shell adds are removed. Without a shell, as in our image, Envoy ends with
 * kuma-dp, like everything in a container.
 */
const shellScript = `unset PWD OLDPWD SHLVL; "$@" 3>&- & echo $! >&3; exec 3>&-; wait $!`;

/** A shell reports a program killed by a signal with this number plus the signal's. */
const shellSignals = 128;

type Exit = Awaited<Child["exit"]>;

function exitOf({ code, signal }: Exit): Exit {
  if (code === null || code <= shellSignals) return { code, signal };
  const [name] = Object.entries(constants.signals).find(([, number]) => number === code - shellSignals) ?? [];
  return name === undefined ? { code, signal } : { code: null, signal: name };
}

/** The process id that the shell writes to its pipe. */
async function readPid(child: ChildProcess): Promise<number> {
  const [, , , pipe] = child.stdio;
  if (!(pipe instanceof Readable)) throw new Error("the shell has no pipe");
  let text = "";
  for await (const chunk of pipe) text += String(chunk);
  const pid = Number(text);
  if (!Number.isSafeInteger(pid) || pid <= 1) throw new Error(`the shell reported no process ID, but "${text.trim()}"`);
  return pid;
}

/**
 * Starts Envoy in our working directory with our standard output and error. It gets its own session: Ctrl-C in a
 * terminal signals every process of the foreground session, and Envoy would exit at once instead of draining. Throws
 * UserError("envoy.not-started").
 */
export async function startEnvoy(start: EnvoyStart): Promise<Child> {
  const words = [start.binary, ...envoyArguments(start)];
  const viaShell = start.generation !== undefined && hasShell();
  const [command = "", ...args] = viaShell ? [shell, "-c", shellScript, shell, ...words] : words;
  const child = spawn(command, args, {
    env: envoyEnvironment(process.env),
    stdio: ["ignore", "inherit", "inherit", ...(viaShell ? (["pipe"] as const) : [])],
    detached: true,
  });
  let ended = false;
  const exit = new Promise<Exit>((resolve) => {
    child.once("exit", (code, signal) => {
      ended = true;
      resolve(viaShell ? exitOf({ code, signal }) : { code, signal });
    });
  });
  const spawned = new Promise<number>((resolve, reject) => {
    child.once("spawn", () =>
      child.pid === undefined ? reject(new Error("it has no process id")) : resolve(child.pid),
    );
    child.once("error", reject);
  });
  let pid: number;
  try {
    pid = await spawned;
    if (viaShell) pid = await readPid(child);
  } catch (error) {
    throw UserError.of("envoy.not-started", { binary: start.binary, reason: error });
  }
  const kill: Child["kill"] = (signal) => {
    if (!ended) killProcess(pid, signal);
  };
  return { pid, exit, kill };
}
