import { execFile } from "node:child_process";
import { mkdtemp, open, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { createEnvoyApi, type EnvoyApi } from "../../envoy/raw/api.js";
import { closureOf, descriptorsIn } from "../../envoy/raw/descriptors.js";

/** The Envoy binary beside this program, used to validate configuration. */
export interface BundledEnvoy {
  /** Its release: `Envoy 1.39.3`; undefined if there is none that runs here. */
  label(): Promise<string | undefined>;
  /** Its configuration model, extracted from its executable; undefined if that is not possible. */
  api(): Promise<EnvoyApi | undefined>;
  /**
   * Why it rejects a configuration; undefined if it accepts it. Envoy executes what it validates: it would run scripts
   * and open files on this machine. The configuration must not contain any.
   */
  refusal(configuration: unknown): Promise<string | undefined>;
}

const chunkBytes = 8 * 1024 * 1024;
/** Far larger than any .proto file, so that each one is complete in at least one chunk. */
const overlapBytes = 1024 * 1024;

/** All .proto files that are compiled into the executable; read in chunks, because it has a hundred megabytes. */
async function readDescriptors(file: string): Promise<ReadonlyMap<string, FileDescriptorProto>> {
  const found = new Map<string, FileDescriptorProto>();
  const handle = await open(file, "r");
  try {
    const buffer = Buffer.alloc(chunkBytes);
    for (let position = 0; ; position += chunkBytes - overlapBytes) {
      const { bytesRead } = await handle.read(buffer, 0, chunkBytes, position);
      for (const [name, descriptor] of descriptorsIn(buffer.subarray(0, bytesRead))) found.set(name, descriptor);
      if (bytesRead < chunkBytes) return found;
    }
  } finally {
    await handle.close();
  }
}

interface Outcome {
  readonly failed: boolean;
  /** Killed at its deadline, which says nothing about the binary or the configuration: the machine may be busy. */
  readonly late: boolean;
  readonly output: string;
}

/** Without an environment: the configuration comes from a client and may refer to variables. */
function run(binary: string, args: readonly string[], cwd: string, timeoutMs: number): Promise<Outcome> {
  const options = { cwd, env: {}, timeout: timeoutMs, killSignal: "SIGKILL" as const };
  return new Promise((resolve) => {
    execFile(binary, args, options, (error, stdout, stderr) => {
      resolve({ failed: error !== null, late: error?.killed === true, output: `${stdout}${stderr}` });
    });
  });
}

const configurationFiles = /^(?:envoy|xds|udpa|validate)\//;

/** The binary's release, and whether it was too slow to tell it. */
async function readLabel(binary: string, timeoutMs: number): Promise<{ label: string | undefined; late: boolean }> {
  const { output, late } = await run(binary, ["--version"], tmpdir(), timeoutMs);
  const release = /version: \w+\/([\d.]+)/.exec(output)?.[1];
  return { label: release === undefined ? undefined : `Envoy ${release}`, late };
}

async function readApi(label: string, binary: string): Promise<EnvoyApi> {
  const files = await readDescriptors(binary);
  return createEnvoyApi(
    label,
    closureOf(files, (name) => configurationFiles.test(name)),
  );
}

const longestShown = 300;

/** Envoy's error message, without its log prefix and without the configuration that it repeats. */
function reasonIn(output: string): string {
  const [, reason = output] = /error initializing configuration '[^']*': (.*)/s.exec(output) ?? [];
  const short = reason
    .replace(/: \{".*/s, "")
    .replaceAll(/\s+/g, " ")
    .trim();
  if (short === "") return "Envoy gave no reason";
  return short.length > longestShown ? `${short.slice(0, longestShown)}…` : short;
}

/** Results cached for one state of the binary; an upgrade may replace it under a running control plane. */
interface Known {
  readonly identity: string;
  readonly label: Promise<string | undefined>;
  api: Promise<EnvoyApi | undefined> | undefined;
}

/** Envoy takes a third of a second, and several seconds when it is read from a slow disk or the machine is busy. */
const patienceMs = 15_000;

export function bundledEnvoy(binary: string, timeoutMs = patienceMs): BundledEnvoy {
  let last: Known | undefined;

  async function known(): Promise<Known | undefined> {
    const facts = await stat(binary).catch(() => undefined);
    if (facts === undefined) return undefined;
    const identity = `${facts.dev} ${facts.ino} ${facts.size} ${facts.mtimeMs}`;
    if (last?.identity === identity) return last;
    const read = readLabel(binary, timeoutMs).then(({ label: name, late }) => {
      // Asked again: otherwise one busy moment would hide Envoy's API until this program is restarted.
      if (late && last === now) last = undefined;
      return name;
    });
    const now: Known = { identity, label: read, api: undefined };
    last = now;
    return now;
  }

  async function label(): Promise<string | undefined> {
    return (await known())?.label;
  }

  async function api(): Promise<EnvoyApi | undefined> {
    const now = await known();
    const name = await now?.label;
    if (now === undefined || name === undefined) return undefined;
    // Without a readable API, resources cannot be validated by it, whatever the binary is.
    now.api ??= readApi(name, binary).catch(() => undefined);
    return now.api;
  }

  async function refusal(configuration: unknown): Promise<string | undefined> {
    const directory = await mkdtemp(path.join(tmpdir(), "kuma-cp-"));
    try {
      const file = path.join(directory, "question.json");
      await writeFile(file, JSON.stringify(configuration), { mode: 0o600 });
      const args = ["--mode", "validate", "-c", file, "--concurrency", "1", "--log-level", "critical"];
      const { failed, late, output } = await run(binary, args, directory, timeoutMs);
      if (late) return `it did not answer within ${timeoutMs / 1000} s`;
      return failed ? reasonIn(output) : undefined;
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  return { label, api, refusal };
}
