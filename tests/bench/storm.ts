// 1,000 proxies that connect at once: the built control plane, and bare grpc-js servers answering the same bytes.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { ChannelCredentials } from "@grpc/grpc-js";
import { showNodeVariables } from "../../scripts/node-variables.mjs";
import { createServerCertificate, type ServerCertificate } from "../../src/identity/server-certificate.js";
import { bin, type ControlPlane, put, startControlPlane } from "../support/executable.js";
import { openFleet } from "./load/fleet.js";
import { deltaPath } from "./storm-dialect.js";
import {
  createProxy,
  markOf,
  type ProxyOptions,
  type ProxyToken,
  type Servers,
  secretPath,
  type Wanted,
  wanted,
} from "./storm-proxy.js";

/** What a span of time cost the server: event-loop delays in milliseconds. */
interface ServerCost {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** The event loop's own computing in one turn of it: delays without those that other processes cause. */
  readonly busyP99: number;
  readonly busyMax: number;
  readonly cpuSeconds: number;
  readonly residentMiB: number;
}

/** Times in milliseconds since all proxies began to connect. */
export interface StormCost extends ServerCost {
  /** When half of the proxies, and the last of them, had their certificate. */
  readonly medianCertificate: number;
  readonly lastCertificate: number;
  /** When the last one had everything. */
  readonly complete: number;
  /** The proxies share the machine with the server. */
  readonly clientCpuSeconds: number;
}

const proxies = 1_000;
const services = 100;
/** Services that each proxy sends connections to. */
const consumed = 5;
const options: ProxyOptions = { mode: "delta", secrets: true, persistent: false };

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Puts the probe into a Node process; into the executable only when that sees NODE_* variables. */
const probed = (socket: string) => ({
  NODE_OPTIONS: `--require ${here("loop-probe.cjs")}`,
  LOOP_PROBE_SOCKET: socket,
});

async function ask(probe: string, word: "start" | "stop"): Promise<unknown> {
  const socket = connect(probe);
  socket.write(word);
  return JSON.parse(await text(socket));
}

const service = (index: number) => `service-${index % services}`;

function dataplane(index: number) {
  const address = `10.0.${Math.floor(index / 250)}.${(index % 250) + 1}`;
  return {
    type: "Dataplane",
    mesh: "default",
    name: `proxy-${index}`,
    networking: {
      inbound: [{ interface: `${address}:8080:80`, tags: { service: service(index), version: "1" } }],
      outbound: Array.from({ length: consumed }, (_, next) => ({
        interface: `:${20_000 + next}`,
        service: service(index + 1 + next),
      })),
    },
  };
}

/** Lets those proxies in that consume the service. */
function permission(index: number) {
  const sources = Array.from({ length: consumed }, (_, before) => service(index + services - 1 - before));
  return {
    type: "TrafficPermission",
    mesh: "default",
    name: `to-${index}`,
    rules: [
      {
        sources: sources.map((name) => ({ match: { service: name } })),
        destinations: [{ match: { service: service(index) } }],
      },
    ],
  };
}

async function fill({ api }: ControlPlane): Promise<void> {
  const write = async (where: string, body: unknown) => {
    const status = await put(api, where, body);
    if (status >= 300) throw new Error(`PUT ${where} was answered ${status}`);
  };
  await write("/meshes/default", { type: "Mesh", name: "default", mtls: { enabled: true, ca: { builtin: {} } } });
  for (let index = 0; index < services; index++) {
    await write(`/meshes/default/traffic-permissions/to-${index}`, permission(index));
  }
  for (let index = 0; index < proxies; index++) {
    await write(`/meshes/default/dataplanes/proxy-${index}`, dataplane(index));
  }
}

async function withTokens({ tokens }: ControlPlane): Promise<ProxyToken[]> {
  const all: ProxyToken[] = [];
  for (let index = 0; index < proxies; index++) {
    const name = `proxy-${index}`;
    const answer = await fetch(`${tokens}/tokens`, { method: "POST", body: JSON.stringify({ name, mesh: "default" }) });
    if (!answer.ok) throw new Error(`no token for ${name}: the server answered ${answer.status}`);
    all.push({ mesh: "default", name, token: await answer.text() });
  }
  return all;
}

type Recording = Readonly<Record<Wanted, string>>;

/** What the control plane answers one proxy, in base64. */
function record(servers: Servers, proxy: ProxyToken): Promise<Recording> {
  return new Promise((resolve, reject) => {
    const answers: Partial<Record<Wanted, string>> = {};
    const credentials = ChannelCredentials.createSsl(Buffer.from(servers.root));
    const simulated = createProxy(servers, credentials, () => proxy, options, {
      acknowledged(what, bytes) {
        answers[what] = bytes.toString("base64");
        if (Object.keys(answers).length < wanted.length) return;
        simulated.close();
        resolve(answers as Recording);
      },
      failed: reject,
    });
    simulated.start();
  });
}

/** Lets all proxies connect at once, and resolves when each has everything. */
async function storm(servers: Servers, probe: string, all: readonly ProxyToken[]): Promise<StormCost> {
  const fleet = await openFleet({ servers, proxies: all, options });
  try {
    await ask(probe, "start");
    const { certificates, complete, cpuSeconds: clientCpuSeconds } = await fleet.connect();
    const cost = (await ask(probe, "stop")) as ServerCost;
    return {
      ...cost,
      medianCertificate: certificates[Math.floor(certificates.length / 2)] ?? Number.NaN,
      lastCertificate: certificates.at(-1) ?? Number.NaN,
      complete,
      clientCpuSeconds,
    };
  } finally {
    await fleet.close();
  }
}

/** What the rounds share. */
interface Stage {
  readonly directory: string;
  /** What the SDS servers present. */
  readonly pair: ServerCertificate;
}

/** A storm on a control plane that has just started, as after its restart. */
async function ours({ directory, pair }: Stage): Promise<{ cost: StormCost; recording: Recording }> {
  const file = (name: string, content: string) => {
    const where = path.join(directory, name);
    writeFileSync(where, content, { mode: 0o600 });
    return where;
  };
  const probe = path.join(directory, "ours");
  const program = path.join(directory, "kuma-cp");
  copyFileSync(path.join(bin, "kuma"), program);
  showNodeVariables(program);
  const env = {
    ...probed(probe),
    KUMA_SDS_SERVER_TLS_CERT_FILE: file("cert.pem", pair.cert),
    KUMA_SDS_SERVER_TLS_KEY_FILE: file("key.pem", pair.key),
  };
  const cp = await startControlPlane(env, undefined, directory);
  try {
    await fill(cp);
    const all = await withTokens(cp);
    const servers = { xds: `localhost:${cp.xdsPort}`, sds: `localhost:${cp.sdsPort}`, root: pair.cert };
    const cost = await storm(servers, probe, all);
    const [first] = all;
    if (first === undefined) throw new Error("there is no proxy");
    return { cost, recording: await record(servers, first) };
  } finally {
    await cp.stop();
  }
}

/** The same storm on servers that compute nothing. */
async function bare({ directory, pair }: Stage, recording: Recording): Promise<StormCost> {
  const answers = wanted.map((what) => ({ mark: markOf(what), bytes: recording[what] }));
  const told = path.join(directory, "recording.json");
  const paths = { configuration: deltaPath, secrets: secretPath };
  writeFileSync(told, JSON.stringify({ ...pair, paths, answers }), { mode: 0o600 });
  const probe = path.join(directory, "floor");
  const child = spawn(process.execPath, [here("storm-floor.mjs"), told], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...probed(probe) },
  });
  const gone = once(child, "exit");
  try {
    const ended = gone.then(() => Promise.reject(new Error("the floor ended")));
    const [line] = (await Promise.race([once(child.stdout, "data"), ended])) as [Buffer];
    const ports = JSON.parse(line.toString()) as { readonly xds: number; readonly sds: number };
    const servers = { xds: `localhost:${ports.xds}`, sds: `localhost:${ports.sds}`, root: pair.cert };
    // As long as a token is.
    const token = "x".repeat(700);
    const all = Array.from({ length: proxies }, (_, index) => ({ mesh: "default", name: `proxy-${index}`, token }));
    return await storm(servers, probe, all);
  } finally {
    child.kill();
    await gone;
  }
}

/** Storms on fresh servers, ours and the floor's by turns. */
export async function storms(rounds: number): Promise<{ ours: readonly StormCost[]; bare: readonly StormCost[] }> {
  const pair = await createServerCertificate({ commonName: "kuma-sds", hosts: ["localhost"], now: new Date() });
  const costs: { ours: StormCost[]; bare: StormCost[] } = { ours: [], bare: [] };
  for (let round = 0; round < rounds; round++) {
    const directory = mkdtempSync(path.join(tmpdir(), "kuma-storm-"));
    try {
      const { cost, recording } = await ours({ directory, pair });
      costs.ours.push(cost);
      costs.bare.push(await bare({ directory, pair }, recording));
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
  return costs;
}
