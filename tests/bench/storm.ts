// 1,000 proxies that connect at once: the built control plane against bare grpc-js servers answering the same bytes.
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { ChannelCredentials } from "@grpc/grpc-js";
import { createServerCertificate } from "../../src/identity/server-certificate.js";
import { type ControlPlane, put, startControlPlane } from "../support/executable.js";
import type { ClientReport, Storm } from "./storm-clients.js";
import type { Recording } from "./storm-floor.js";
import { createProxy, type Proxy, type Servers, type Wanted, wanted } from "./storm-proxy.js";

/** What a storm cost a server, and how long it took. Times in milliseconds. */
export interface StormCost {
  /** Event-loop delay. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly samples: number;
  readonly cpuSeconds: number;
  readonly residentMiB: number;
  /** Until half of the proxies, and the last one, had a certificate. */
  readonly medianCertificate: number;
  readonly lastCertificate: number;
  /** Until the last proxy had everything. */
  readonly complete: number;
  /** What the proxies cost, which share the machine with the server. */
  readonly clientCpuSeconds: number;
}

type Probe = Pick<StormCost, "p50" | "p99" | "max" | "samples" | "cpuSeconds" | "residentMiB">;

/** A server under a storm, with the probe in it. */
interface Target {
  readonly servers: Servers;
  readonly probe: string;
  stop(): Promise<unknown>;
}

const proxies = 1_000;
const services = 100;
const consumed = 5;
const clientProcesses = 4;
const stormDeadlineMs = 60_000;

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const preload = (socket: string) => ({ NODE_OPTIONS: `--require ${here("loop-probe.cjs")}`, LOOP_PROBE_SOCKET: socket });

async function ask(probe: string, word: "start" | "stop"): Promise<unknown> {
  const socket = connect(probe);
  socket.write(word);
  return JSON.parse(await text(socket));
}

const service = (index: number) => `service-${index % services}`;

/** An instance of a service that consumes the next five. */
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

async function fill({ api }: ControlPlane): Promise<void> {
  const write = async (where: string, body: unknown) => {
    const status = await put(api, where, body);
    if (status >= 300) throw new Error(`PUT ${where} was answered ${status}`);
  };
  await write("/meshes/default", { type: "Mesh", name: "default", mtls: { enabled: true, ca: { builtin: {} } } });
  for (let index = 0; index < proxies; index++) {
    await write(`/meshes/default/dataplanes/proxy-${index}`, dataplane(index));
  }
  for (let index = 0; index < services; index++) {
    const sources = Array.from({ length: consumed }, (_, before) => ({
      match: { service: service(index + services - 1 - before) },
    }));
    await write(`/meshes/default/traffic-permissions/to-${index}`, {
      type: "TrafficPermission",
      mesh: "default",
      name: `to-${index}`,
      rules: [{ sources, destinations: [{ match: { service: service(index) } }] }],
    });
  }
}

async function token(cp: ControlPlane, name: string): Promise<string> {
  const answer = await fetch(`${cp.tokens}/tokens`, { method: "POST", body: JSON.stringify({ name, mesh: "default" }) });
  if (!answer.ok) throw new Error(`no token for ${name}: ${answer.status}`);
  return answer.text();
}

/** What one proxy is answered. */
function record(servers: Servers, proxy: Proxy): Promise<Recording["answers"]> {
  return new Promise((resolve, reject) => {
    const answers: Partial<Record<Wanted, string>> = {};
    const simulated = createProxy(servers, ChannelCredentials.createSsl(Buffer.from(servers.root)), proxy, {
      received(what, bytes) {
        answers[what] = bytes.toString("base64");
        if (Object.keys(answers).length < wanted.length) return;
        simulated.close();
        resolve(answers as Recording["answers"]);
      },
      failed: reject,
    });
    simulated.start();
  });
}

/** Lets all proxies connect at once, and resolves when each has everything. */
async function storm({ servers, probe }: Target, all: readonly Proxy[]): Promise<StormCost> {
  const clients: ChildProcess[] = [];
  const reports: Extract<ClientReport, { kind: "done" }>[] = [];
  const deadline = AbortSignal.timeout(stormDeadlineMs);
  const next = async (client: ChildProcess) => {
    const [report] = (await once(client, "message", { signal: deadline })) as [ClientReport];
    if (report.kind === "failed") throw new Error(`a proxy was not served: ${report.reason}`);
    return report;
  };
  try {
    const share = Math.ceil(all.length / clientProcesses);
    for (let index = 0; index < clientProcesses; index++) clients.push(fork(here("storm-clients.ts")));
    await Promise.all(
      clients.map((client, index) => {
        const own: Storm = { servers, proxies: all.slice(index * share, (index + 1) * share) };
        client.send(own);
        return next(client);
      }),
    );
    await ask(probe, "start");
    for (const client of clients) client.send("go");
    for (const report of await Promise.all(clients.map(next))) if (report.kind === "done") reports.push(report);
    const cost = (await ask(probe, "stop")) as Probe;
    const certificates = reports.flatMap((report) => report.certificates).sort((a, b) => a - b);
    return {
      ...cost,
      medianCertificate: certificates[Math.floor(certificates.length / 2)] ?? Number.NaN,
      lastCertificate: certificates.at(-1) ?? Number.NaN,
      complete: Math.max(...reports.map(({ complete }) => complete)),
      clientCpuSeconds: reports.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
    };
  } finally {
    for (const client of clients) client.kill("SIGKILL");
  }
}

export interface StormRounds {
  readonly ours: readonly StormCost[];
  readonly floor: readonly StormCost[];
}

/** Each round is a storm on a control plane that has just started, as after its restart, and one on the floor. */
export async function storms(rounds: number): Promise<StormRounds> {
  const work = mkdtempSync(path.join(tmpdir(), "kuma-storm-"));
  const pair = await createServerCertificate({ commonName: "kuma-sds", hosts: ["127.0.0.1"], now: new Date() });
  const [certFile, keyFile, recordingFile] = ["cert.pem", "key.pem", "recording.json"].map((n) => path.join(work, n));
  if (certFile === undefined || keyFile === undefined || recordingFile === undefined) throw new Error("no files");
  writeFileSync(certFile, pair.cert);
  writeFileSync(keyFile, pair.key, { mode: 0o600 });
  const result: { ours: StormCost[]; floor: StormCost[] } = { ours: [], floor: [] };
  let recording: Recording | undefined;

  async function ourRound(probe: string): Promise<void> {
    const cp = await startControlPlane({
      ...preload(probe),
      KUMA_SDS_SERVER_TLS_CERT_FILE: certFile ?? "",
      KUMA_SDS_SERVER_TLS_KEY_FILE: keyFile ?? "",
    });
    try {
      await fill(cp);
      const names = Array.from({ length: proxies }, (_, index) => `proxy-${index}`);
      const all: Proxy[] = [];
      for (const name of names) all.push({ mesh: "default", name, token: await token(cp, name) });
      const servers = { xds: `127.0.0.1:${cp.xdsPort}`, sds: `127.0.0.1:${cp.sdsPort}`, root: pair.cert };
      result.ours.push(await storm({ servers, probe, stop: cp.stop }, all));
      const [first] = all;
      if (first !== undefined) recording ??= { ...pair, answers: await record(servers, first) };
    } finally {
      await cp.stop();
    }
  }

  async function floorRound(probe: string): Promise<void> {
    if (recording === undefined) throw new Error("nothing was recorded");
    writeFileSync(recordingFile ?? "", JSON.stringify(recording), { mode: 0o600 });
    const child = spawn(process.execPath, ["--import", "tsx", here("storm-floor.ts"), recordingFile ?? ""], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...preload(probe) },
    });
    try {
      const [line] = (await once(child.stdout, "data")) as [Buffer];
      const { xds, sds } = JSON.parse(line.toString()) as { xds: number; sds: number };
      const servers = { xds: `127.0.0.1:${xds}`, sds: `127.0.0.1:${sds}`, root: pair.cert };
      const all = Array.from({ length: proxies }, (_, index) => ({
        mesh: "default",
        name: `proxy-${index}`,
        token: "x".repeat(700),
      }));
      result.floor.push(await storm({ servers, probe, stop: async () => {} }, all));
    } finally {
      const gone = once(child, "exit");
      child.kill();
      await gone;
    }
  }

  try {
    for (let round = 0; round < rounds; round++) {
      await ourRound(path.join(work, `ours-${round}`));
      await floorRound(path.join(work, `floor-${round}`));
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return result;
}
