import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import path from "node:path";
import { eventually } from "./eventually.js";

/** The directory of the built programs. */
export const bin = path.resolve(process.env.KUMA_BIN ?? "dist/bin");

/** This machine's environment without Kuma settings. */
function cleanEnvironment(extra: Readonly<Record<string, string>>) {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("KUMA_"));
  return { ...Object.fromEntries(kept), ...extra };
}

export interface Running {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** The exit code, or null after a signal. */
  readonly ended: Promise<number | null>;
  /** Sends SIGTERM and waits for the exit. */
  stop(): Promise<number | null>;
  kill(): Promise<number | null>;
}

/** Starts a program of this build, or another one by its absolute path. */
export function startProgram(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  openFiles?: number,
  directory = bin,
): Running {
  const words = [path.resolve(directory, program), ...args];
  // Node raises its soft limit to the hard one, so both have to be lowered, which only a shell can do before it starts.
  const limited = ["sh", "-c", `ulimit -n ${openFiles} && exec "$@"`, "sh", ...words];
  const [command = "", ...rest] = openFiles === undefined ? words : limited;
  const child = spawn(command, rest, {
    stdio: ["ignore", "pipe", "pipe"],
    env: cleanEnvironment(env),
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
  }
  // The last output may arrive after the exit, but a child process that keeps the pipe open must not delay us.
  const ended = new Promise<number | null>((resolve) => {
    child.on("close", (code) => resolve(code));
    child.on("exit", (code) => setTimeout(resolve, 1000, code).unref());
  });
  const end = (signal: NodeJS.Signals) => {
    child.kill(signal);
    return ended;
  };
  return { child, output: () => text, ended, stop: () => end("SIGTERM"), kill: () => end("SIGKILL") };
}

export interface ControlPlane extends Running {
  readonly api: string;
  readonly bootstrap: string;
  readonly health: string;
  /** The local token server; empty when there is none. */
  readonly tokens: string;
  readonly xdsPort: number;
  readonly sdsPort: number;
}

/** Settings for a free port on every listener of a control plane. */
export const anyPorts = {
  KUMA_API_SERVER_PORT: "0",
  KUMA_BOOTSTRAP_SERVER_PORT: "0",
  KUMA_XDS_SERVER_GRPC_PORT: "0",
  KUMA_XDS_SERVER_DIAGNOSTICS_PORT: "0",
  KUMA_SDS_SERVER_GRPC_PORT: "0",
  KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_PORT: "0",
};

/**
 * Starts a control plane on free ports, or on the given ones, with this limit of open files; the program is the build's
 * or the one in `directory`. Resolves once it is ready.
 */
export async function startControlPlane(
  env: Readonly<Record<string, string>> = {},
  openFiles?: number,
  directory = bin,
): Promise<ControlPlane> {
  const running = startProgram("kuma-cp", ["run"], { ...anyPorts, ...env }, openFiles, directory);
  await eventually("the control plane is ready", () => {
    if (running.child.exitCode !== null) throw new Error(running.output());
    return running.output().includes("Next, in another terminal");
  });
  const find = (pattern: RegExp) => pattern.exec(running.output())?.[1] ?? "";
  const local = (url: string) => url.replace("localhost", "127.0.0.1");
  return {
    ...running,
    api: local(find(/^ +HTTP API +(\S+)/m)),
    bootstrap: local(find(/bootstrap +(\S+)/)),
    health: local(find(/health +(\S+)\/ready/)),
    tokens: local(find(/tokens +(\S+)/)),
    xdsPort: Number(find(/xDS +\S+:(\d+)/)),
    sdsPort: Number(find(/SDS +\S+:(\d+)/)),
  };
}

export async function put(api: string, path: string, body: unknown): Promise<number> {
  const response = await fetch(`${api}${path}`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  await response.arrayBuffer();
  return response.status;
}

/** Runs a program until it exits. */
export function runProgram(program: string, args: readonly string[], input = "") {
  const { status, stdout, stderr } = spawnSync(path.join(bin, program), args, {
    input,
    encoding: "utf8",
    env: cleanEnvironment({}),
    timeout: 120_000,
  });
  return { status, stdout, stderr };
}
