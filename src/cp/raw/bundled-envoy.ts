import { execFile } from "node:child_process";
import { mkdtemp, open, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { createEnvoyApi, type EnvoyApi } from "../../envoy/raw/api.js";
import { closureOf, descriptorsIn } from "../../envoy/raw/descriptors.js";
import { type Json, typeUrl } from "../../envoy/raw/rewrites.js";

/** The Envoy that lies beside this program, as somebody to ask about Envoy's API. */
export interface BundledEnvoy {
  /** Its configuration model, read out of its executable; undefined when there is none, or none that can be read. */
  api(): Promise<EnvoyApi | undefined>;
  /** Why it would not take a message of that type; undefined when it would. */
  refusal(type: string, message: Json): Promise<string | undefined>;
}

const chunkBytes = 8 * 1024 * 1024;
/** Far more than the largest .proto file takes: none is cut off by both of two chunks. */
const overlapBytes = 1024 * 1024;

/** All .proto files that the executable was compiled from; read in chunks, because it has a hundred megabytes. */
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
  readonly output: string;
}

/** Without an environment: what is asked about comes from a client, and may name variables. */
function run(binary: string, args: readonly string[], cwd: string, timeoutMs: number): Promise<Outcome> {
  const options = { cwd, env: {}, timeout: timeoutMs, killSignal: "SIGKILL" as const };
  return new Promise((resolve) => {
    execFile(binary, args, options, (error, stdout, stderr) => {
      resolve({ failed: error !== null, output: `${stdout}${stderr}` });
    });
  });
}

const configurationFiles = /^(?:envoy|xds|udpa|validate)\//;

async function readApi(binary: string, timeoutMs: number): Promise<EnvoyApi | undefined> {
  const { output } = await run(binary, ["--version"], tmpdir(), timeoutMs);
  const release = /version: \w+\/([\d.]+)/.exec(output)?.[1];
  if (release === undefined) return undefined;
  const files = await readDescriptors(binary);
  return createEnvoyApi(
    `Envoy ${release}`,
    closureOf(files, (name) => configurationFiles.test(name)),
  );
}

/**
 * A configuration that holds the message where Envoy reads it strictly, as it does every part of its configuration, and
 * then never looks at it again. As a listener or a cluster it would be put to work even by `--mode validate`: scripts in
 * it would run here, files named in it would be opened here, at the wish of whoever may write a ProxyTemplate.
 */
function configuration(type: string, message: Json): unknown {
  const typedFilterMetadata = { raw: { "@type": typeUrl(type), ...message } };
  const probe = { name: "probe", type: "STATIC", connectTimeout: "1s", metadata: { typedFilterMetadata } };
  return { staticResources: { clusters: [probe] } };
}

const longestShown = 300;

/** Envoy's own words, without where it logged them and without the configuration that it repeats. */
function reasonIn(output: string): string {
  const [, reason = output] = /error initializing configuration '[^']*': (.*)/s.exec(output) ?? [];
  const short = reason
    .replace(/: \{".*/s, "")
    .replaceAll(/\s+/g, " ")
    .trim();
  if (short === "") return "Envoy gave no reason";
  return short.length > longestShown ? `${short.slice(0, longestShown)}…` : short;
}

export function bundledEnvoy(binary: string, timeoutMs = 5000): BundledEnvoy {
  let known: { readonly identity: string; readonly api: Promise<EnvoyApi | undefined> } | undefined;

  async function api(): Promise<EnvoyApi | undefined> {
    const facts = await stat(binary).catch(() => undefined);
    if (facts === undefined) return undefined;
    // An upgrade may replace the binary under a running control plane.
    const identity = `${facts.dev} ${facts.ino} ${facts.size} ${facts.mtimeMs}`;
    if (known?.identity !== identity) {
      known = { identity, api: readApi(binary, timeoutMs).catch(() => undefined) };
    }
    return known.api;
  }

  async function refusal(type: string, message: Json): Promise<string | undefined> {
    const directory = await mkdtemp(path.join(tmpdir(), "kuma-cp-"));
    try {
      const file = path.join(directory, "probe.json");
      await writeFile(file, JSON.stringify(configuration(type, message)), { mode: 0o600 });
      const args = ["--mode", "validate", "-c", file, "--concurrency", "1", "--log-level", "critical"];
      const { failed, output } = await run(binary, args, directory, timeoutMs);
      return failed ? reasonIn(output) : undefined;
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  return { api, refusal };
}
