import { spawn } from "node:child_process";
import { messageOf, UserError } from "../lib/errors.js";
import type { LogLevel } from "../lib/logger.js";
import { envoyEnvironment } from "./envoy-environment.js";
import { type Generation, hotRestartArguments } from "./hot-restart.js";
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

export function envoyArguments(start: EnvoyStart): string[] {
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
 * Starts Envoy in our working directory with our output. It gets a session of its own: Ctrl-C in a terminal goes to every
 * process of the session in the foreground, and Envoy would end at once instead of being drained.
 * Throws UserError("envoy.not-started").
 */
export async function startEnvoy(start: EnvoyStart): Promise<Child> {
  const child = spawn(start.binary, envoyArguments(start), {
    env: envoyEnvironment(process.env),
    stdio: ["ignore", "inherit", "inherit"],
    detached: true,
  });
  const exit = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
  const pid = await new Promise<number>((resolve, reject) => {
    child.once("spawn", () =>
      child.pid === undefined ? reject(new Error("it has no process id")) : resolve(child.pid),
    );
    child.once("error", reject);
  }).catch((error: unknown) => {
    throw new UserError("envoy.not-started", `could not start Envoy ${start.binary}: ${messageOf(error)}`, {
      cause: error,
    });
  });
  return { pid, exit, kill: (signal) => void child.kill(signal) };
}
