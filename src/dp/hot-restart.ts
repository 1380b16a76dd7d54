import { execFile } from "node:child_process";
import { accessSync, constants, mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { messageOf } from "../lib/errors.js";
import { files } from "./config-dir.js";
import { readOwnFile } from "./own-file.js";

/** Where Envoy keeps the memory that successive Envoys of one proxy share. */
const sharedMemory = "/dev/shm";
const baseIdFile = "base-id";
/** Envoy's base IDs have 32 bits. */
const longestBaseId = 16;

/** Why an Envoy on this machine can't be replaced by hot restart; undefined when it can. */
export function hotRestartObstacle(): string | undefined {
  if (process.platform !== "linux")
    return `Envoy's hot restart is for Linux, and this machine runs ${process.platform}`;
  try {
    accessSync(sharedMemory, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return `Envoy's hot restart needs ${sharedMemory}: ${messageOf(error)}`;
  }
}

/**
 * Creates the directory for the sockets that the Envoys of this run share. Only we may enter it: whoever writes to
 * Envoy's sockets can take its listeners.
 */
export function prepareHotRestart(): void {
  mkdirSync(files.hotRestart, { mode: 0o700 });
}

/** The base ID that the Envoys of one run share; undefined when the first one has written none. */
export function readBaseId(directory: string): number | undefined {
  try {
    const text = readOwnFile(path.join(directory, files.hotRestart, baseIdFile), longestBaseId)?.trim() ?? "";
    return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
  } catch {
    // Missing: this Envoy runs without hot restart.
    return undefined;
  }
}

/**
 * Removes the shared memory that Envoy leaves behind and nobody else would remove. Call it when no Envoy of the run is
 * left.
 */
export function removeSharedMemory(directory: string): void {
  const baseId = readBaseId(directory);
  // Envoy multiplies the base ID by ten to leave room for epochs.
  if (baseId !== undefined) rmSync(path.join(sharedMemory, `envoy_shared_memory_${baseId * 10}`), { force: true });
}

/**
 * The position of an Envoy in a sequence of hot restarts: the first has epoch 0, and each takes over from the previous
 * one.
 */
export type Generation = { readonly epoch: 0 } | { readonly epoch: number; readonly baseId: number };

/** Envoy's hot restart flags. `drainSeconds` is how long its predecessor keeps connections. */
export function hotRestartArguments(generation: Generation | undefined, drainSeconds: number): string[] {
  if (generation === undefined) return ["--disable-hot-restart"];
  const identity =
    "baseId" in generation
      ? ["--base-id", String(generation.baseId), "--restart-epoch", String(generation.epoch)]
      : // Chosen at random among those that are free: other dataplanes of this machine have theirs.
        ["--use-dynamic-base-id", "--base-id-path", `${files.hotRestart}/${baseIdFile}`];
  return [
    ...["--socket-path", `${files.hotRestart}/envoy`, "--socket-mode", "600"],
    ...["--parent-shutdown-time-s", String(drainSeconds)],
    ...identity,
  ];
}

const answerMs = 10_000;

/** Runs the binary and returns its standard output and error. */
function run(binary: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(binary, args, { timeout: answerMs, maxBuffer: 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve(`${stdout}\n${stderr}`);
      else reject(new Error(stderr.trim().split("\n").at(-1) || messageOf(error), { cause: error }));
    });
  });
}

/** The hot restart version of an Envoy: two Envoys need the same one to hand over. Rejects when the binary can't be run. */
export async function hotRestartVersion(binary: string): Promise<string> {
  const printed = await run(binary, ["--hot-restart-version"]);
  const version = /^\d+(?:\.\d+)+$/m.exec(printed)?.[0];
  if (version === undefined)
    throw new Error(`${binary} has no hot restart; it printed "${printed.trim().slice(0, 200)}"`);
  return version;
}

/** Rejects with Envoy's error message when it can't be started with this bootstrap. Opens no listeners. */
export async function validateBootstrap(binary: string, bootstrapFile: string): Promise<void> {
  await run(binary, ["--mode", "validate", "-c", bootstrapFile, "--disable-hot-restart", "--log-level", "error"]);
}
