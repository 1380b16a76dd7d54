// A bare server under the same load: what the machine can do at this moment.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { identityName } from "../../../src/envoy/tls.js";
import type { ServerCertificate } from "../../../src/identity/server-certificate.js";
import { put } from "../../support/executable.js";
import { deltaPath, type Mode, sotwPath } from "../storm-dialect.js";
import { markOf, type Servers, secretPath } from "../storm-proxy.js";
import type { Recorded } from "./fleet.js";

export type Engine = "grpc" | "http2";

/** Messages that are written to some proxies' streams: those of the next batch at each `every`th request. */
export interface Push {
  readonly to: readonly string[];
  readonly every: number;
  readonly batches: readonly (readonly Buffer[])[];
}

export interface FloorOptions {
  readonly engine: Engine;
  readonly mode: Mode;
  /** What the secret server presents; undefined without mTLS. */
  readonly pair: ServerCertificate | undefined;
  /** What a proxy is answered when it connects. */
  readonly answers: readonly Recorded[];
  readonly pushes: Readonly<Record<string, Push>>;
  /** For its file. */
  readonly directory: string;
}

export interface Floor {
  readonly servers: Servers;
  readonly pid: () => number;
  /** Asks for the next batch of a push, by a request with this body. */
  push(name: string, body: unknown): Promise<void>;
  /** Kills it and starts it again on the same ports, with other answers for those who come back. */
  restart(answers: readonly Recorded[]): Promise<void>;
  close(): Promise<void>;
}

interface Ports {
  readonly xds: number;
  readonly sds: number;
  readonly api: number;
}

const program = fileURLToPath(new URL("../storm-floor.mjs", import.meta.url));

export async function startFloor({ engine, mode, pair, answers, pushes, directory }: FloorOptions): Promise<Floor> {
  const file = path.join(directory, `floor-${engine}.json`);
  const base64 = (bytes: Buffer) => bytes.toString("base64");

  async function start(given: readonly Recorded[], ports?: Ports): Promise<{ child: ChildProcess; ports: Ports }> {
    const told = {
      engine,
      ...pair,
      paths: { configuration: mode === "delta" ? deltaPath : sotwPath, secrets: secretPath },
      answers: given.map(({ what, bytes }) => ({ mark: markOf(what), bytes: base64(bytes) })),
      issue: identityName,
      pushes: Object.fromEntries(
        Object.entries(pushes).map(([name, { to, every, batches }]) => [
          name,
          { to: to.map((proxy) => `default.${proxy}`), every, batches: batches.map((batch) => batch.map(base64)) },
        ]),
      ),
      ports,
    };
    writeFileSync(file, JSON.stringify(told), { mode: 0o600 });
    const child = spawn(process.execPath, [program, file], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = once(child, "exit").then(() => Promise.reject(new Error(`the floor by ${engine} ended`)));
    const [line] = (await Promise.race([once(child.stdout, "data"), ended])) as [Buffer];
    ended.catch(() => {});
    return { child, ports: JSON.parse(line.toString()) as Ports };
  }

  let running = await start(answers);

  async function kill(): Promise<void> {
    const gone = once(running.child, "exit");
    running.child.kill("SIGKILL");
    await gone;
  }

  return {
    servers: {
      xds: `localhost:${running.ports.xds}`,
      sds: `localhost:${running.ports.sds}`,
      root: pair?.cert ?? "",
    },
    pid: () => running.child.pid ?? 0,
    async push(name, body) {
      const status = await put(`http://127.0.0.1:${running.ports.api}`, `/${name}`, body);
      if (status !== 200) throw new Error(`the floor by ${engine} answered ${status}`);
    },
    async restart(given) {
      await kill();
      running = await start(given, running.ports);
    },
    close: kill,
  };
}
