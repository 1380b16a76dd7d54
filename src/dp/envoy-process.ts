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
  /** Seen from this process's working directory, which Envoy shares: the config dir. */
  readonly bootstrapFile: string;
  /** Milliseconds; Envoy takes whole seconds. */
  readonly drainTime: number;
  readonly concurrency: number;
  readonly logLevel: LogLevel;
  /** Undefined: it can neither take over from another Envoy nor be replaced by one. */
  readonly generation: Generation | undefined;
}

/**
 * Without a wish Envoy speaks up from warnings on. At `info` its component `main` is kept quieter than the rest,
 * because it greets with several screens of compiled-in extensions.
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
    // Access logs are read by people who wait for them; Envoy's own pace is ten seconds.
    "--file-flush-interval-msec",
    "1000",
    "--concurrency",
    String(start.concurrency),
    ...logArguments[start.logLevel],
  ];
}

/**
 * With hot restart Envoy has the kernel end it as soon as its parent does (PR_SET_PDEATHSIG), and it is to go on serving
 * should kuma-dp be killed: so its parent is a shell, which tells Envoy's process id, waits, and passes on how it ended.
 * Variables that a shell adds are not Envoy's. Where there is no shell, as in our image, it ends with kuma-dp, like
 * everything in a container.
 */
const shellScript = `unset PWD OLDPWD SHLVL; "$@" 3>&- & echo $! >&3; exec 3>&-; wait $!`;

/** A shell's exit code for a program that a signal ended is the signal's number and this. */
const shellSignals = 128;

type Exit = Awaited<Child["exit"]>;

function exitOf({ code, signal }: Exit): Exit {
  if (code === null || code <= shellSignals) return { code, signal };
  const [name] = Object.entries(constants.signals).find(([, number]) => number === code - shellSignals) ?? [];
  return name === undefined ? { code, signal } : { code: null, signal: name };
}

/** The process id that the shell tells. */
async function toldPid(child: ChildProcess): Promise<number> {
  const [, , , told] = child.stdio;
  if (!(told instanceof Readable)) throw new Error("the shell has no pipe");
  let text = "";
  for await (const chunk of told) text += String(chunk);
  const pid = Number(text);
  if (!Number.isSafeInteger(pid) || pid <= 1) throw new Error(`the shell tells no process id, but "${text.trim()}"`);
  return pid;
}

/**
 * Starts Envoy in our working directory with our output. It gets a session of its own: Ctrl-C in a terminal goes to every
 * process of the session in the foreground, and Envoy would end at once instead of being drained.
 * Throws UserError("envoy.not-started").
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
    if (viaShell) pid = await toldPid(child);
  } catch (error) {
    throw UserError.of("envoy.not-started", { binary: start.binary, reason: error });
  }
  const kill: Child["kill"] = (signal) => {
    if (!ended) killProcess(pid, signal);
  };
  return { pid, exit, kill };
}
