// A request to the HTTP API of the executable, over loopback, against a bare node:http server answering the same bytes.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { put, startControlPlane } from "../support/executable.js";

const rounds = 41;
/** The first rounds warm both servers up and are not counted. */
const warmUp = 6;
const perRound = { get: 300, list: 60, put: 300 } as const;
const dataplanes = 1_000;
type Kind = keyof typeof perRound;
const kinds = Object.keys(perRound) as Kind[];

function dataplane(name: string, version: number) {
  const tags = { service: `service-${name.length}`, version: `${version}`, env: "production" };
  const inbound = [{ interface: "192.168.0.1:11011:11012", tags }];
  const outbound = [
    { interface: ":33033", service: "database" },
    { interface: ":44044", service: "user" },
  ];
  return { type: "Dataplane", mesh: "default", name, networking: { inbound, outbound } };
}

const collection = "/meshes/default/dataplanes";
const item = `${collection}/proxy-500`;

function requestBytes(method: string, target: string, body?: unknown): Buffer {
  const text = body === undefined ? "" : JSON.stringify(body);
  const head = body === undefined ? "" : `Content-Type: application/json\r\nContent-Length: ${text.length}\r\n`;
  return Buffer.from(
    `${method} ${target} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n${head}\r\n${text}`,
  );
}

/** Two bodies by turns, so that each PUT changes what is stored. */
const requests: Readonly<Record<Kind, readonly Buffer[]>> = {
  get: [requestBytes("GET", item)],
  list: [requestBytes("GET", collection)],
  put: [1, 2].map((version) => requestBytes("PUT", item, dataplane("proxy-500", version))),
};

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => resolve(socket)).setNoDelay(true);
    socket.once("error", reject);
  });
}

/** One request on a connection of its own turn; resolves with the milliseconds until the last byte was there. */
function exchange(socket: Socket, request: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    let size = 0;
    let wanted = -1;
    const start = process.hrtime.bigint();
    const read = (chunk: Buffer) => {
      size += chunk.length;
      if (wanted < 0) {
        const text = chunk.subarray(0, 1024).toString("latin1");
        if (!/^HTTP\/1\.1 20[01] /.test(text)) reject(new Error(`unexpected answer: ${text.slice(0, 200)}`));
        wanted = text.indexOf("\r\n\r\n") + 4 + Number(/content-length: (\d+)/i.exec(text)?.[1]);
      }
      if (size < wanted) return;
      socket.off("data", read);
      resolve(Number(process.hrtime.bigint() - start) / 1e6);
    };
    socket.on("data", read);
    socket.write(request);
  });
}

function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * fraction)] ?? Number.NaN;
}

async function roundOf(kind: Kind, socket: Socket): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < perRound[kind]; i++) {
    const request = requests[kind][i % requests[kind].length];
    if (request !== undefined) times.push(await exchange(socket, request));
  }
  return quantile(times, 0.5);
}

async function recordAnswers(api: string): Promise<Record<string, unknown>> {
  const recorded: Record<string, unknown> = {};
  for (const [method, target] of [
    ["GET", item],
    ["GET", collection],
    ["PUT", item],
  ] as const) {
    const body = method === "PUT" ? { body: JSON.stringify(dataplane("proxy-500", 1)) } : {};
    const response = await fetch(`${api}${target}`, {
      method,
      headers: { "content-type": "application/json" },
      ...body,
    });
    const type = response.headers.get("content-type");
    const text = await response.text();
    const headers = {
      ...(type === null ? {} : { "Content-Type": type }),
      "Content-Length": `${Buffer.byteLength(text)}`,
    };
    recorded[`${method} ${target}`] = { status: response.status, headers, body: text };
  }
  return recorded;
}

/**
 * Client and servers share one core: a request is then what it costs to compute. On several, most of its
 * time is waking the other core, and which of the two servers pays for that is the scheduler's luck.
 */
function shareOneCore(): boolean {
  const core = /Cpus_allowed_list:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return spawnSync("taskset", ["-a", "-c", "-p", core, `${process.pid}`], { stdio: "ignore" }).status === 0;
}

const oneCore = shareOneCore();
if (!oneCore) console.log("taskset is not here: the figures will vary with where the scheduler puts the servers");
const work = mkdtempSync(path.join(tmpdir(), "kuma-bench-"));
const cp = await startControlPlane();
for (let i = 0; i < dataplanes; i++) {
  await put(cp.api, `${collection}/proxy-${i}`, dataplane(`proxy-${i}`, 1));
}
const answers = path.join(work, "answers.json");
writeFileSync(answers, JSON.stringify(await recordAnswers(cp.api)));
const floorScript = fileURLToPath(new URL("api-floor.mjs", import.meta.url));
const floor = spawn(process.execPath, [floorScript, answers], { stdio: ["ignore", "pipe", "inherit"] });
const floorPort = await new Promise<number>((resolve) => floor.stdout.once("data", (text) => resolve(Number(text))));

const ours = await open(Number(new URL(cp.api).port));
const bare = await open(floorPort);
const times: Record<Kind, { ours: number[]; bare: number[] }> = {
  get: { ours: [], bare: [] },
  list: { ours: [], bare: [] },
  put: { ours: [], bare: [] },
};
for (let round = 0; round < rounds + warmUp; round++) {
  for (const kind of kinds) {
    const pair = { ours: await roundOf(kind, ours), bare: await roundOf(kind, bare) };
    if (round < warmUp) continue;
    times[kind].ours.push(pair.ours);
    times[kind].bare.push(pair.bare);
  }
}
for (const socket of [ours, bare]) socket.destroy();
floor.kill();
await cp.stop();
rmSync(work, { recursive: true, force: true });

const digits = (value: number, count: number) => Number(value.toFixed(count));
const names: Readonly<Record<Kind, string>> = { get: "GET one", list: "GET list of 1,000", put: "PUT" };
const targets: Readonly<Record<Kind, number>> = { get: 1.45, list: 1.5, put: 2.5 };
const ratios: Record<string, number> = {};
const details: Record<string, unknown> = {};
for (const kind of kinds) {
  const { ours, bare } = times[kind];
  const each = ours.map((value, round) => value / (bare[round] ?? Number.NaN));
  ratios[names[kind]] = digits(quantile(each, 0.5), 2);
  details[names[kind]] = {
    target: targets[kind],
    oursMs: digits(quantile(ours, 0.5), 4),
    bareMs: digits(quantile(bare, 0.5), 4),
    ratioP10: digits(quantile(each, 0.1), 2),
    ratioP90: digits(quantile(each, 0.9), 2),
  };
  console.log(
    `${names[kind].padEnd(18)} ${quantile(ours, 0.5).toFixed(3)} ms, bare ${quantile(bare, 0.5).toFixed(3)} ms: ` +
      `${ratios[names[kind]]} (p10 ${digits(quantile(each, 0.1), 2)}, p90 ${digits(quantile(each, 0.9), 2)}), target ${targets[kind]}`,
  );
}
console.log(JSON.stringify({ bench: "api", ratios, details: { rounds, perRound, ...details } }));
