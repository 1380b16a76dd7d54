/**
 * What an idle dataplane costs: kuma-dp against the bare runtime that is inside it, and Envoy with the number of worker
 * threads that kuma-dp gives it against others. Contenders of one round run side by side, so that they see the same machine.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { readSettings } from "../../src/dp/settings.js";
import { eventually } from "../support/eventually.js";

const bin = process.env.KUMA_BIN ?? "dist/bin";
const rounds = 3;
const settleMs = 2000;
const sampleMs = 4000;
/** Services that the measured Envoys know: a middling mesh. */
const services = 100;
/** CPU time below this, in milliseconds a minute, is noise of the machine; it bounds the divisor of the ratio. */
const cpuNoise = 3;

interface Cost {
  /**
   * Resident memory in KiB: all of it, and the part that no other process can share. The rest are pages of the executable:
   * there once for all kuma processes of a machine, and as many as the kernel happens to map around those in use.
   */
  readonly resident: number;
  readonly own: number;
  /** Milliseconds of CPU time a minute, idle. */
  readonly cpu: number;
}

function status(pid: number, field: string): number {
  const found = new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (found === undefined) throw new Error(`/proc/${pid}/status has no ${field}`);
  return Number(found);
}

/** Nanoseconds on a CPU, all threads together. */
function cpuTime(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const times = threads.map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]),
  );
  return times.reduce((sum, time) => sum + time, 0);
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

async function measure(pids: readonly number[]): Promise<Cost[]> {
  await pause(settleMs);
  const before = pids.map(cpuTime);
  await pause(sampleMs);
  return pids.map((pid, index) => ({
    resident: status(pid, "VmRSS"),
    own: status(pid, "RssAnon"),
    cpu: ((cpuTime(pid) - (before[index] ?? 0)) / 1e6) * (60_000 / sampleMs),
  }));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function medians(costs: readonly Cost[]): Cost {
  return {
    resident: median(costs.map((cost) => cost.resident)),
    own: median(costs.map((cost) => cost.own)),
    cpu: median(costs.map((cost) => cost.cpu)),
  };
}

const port = (portValue: number) => ({ socketAddress: { address: "127.0.0.1", portValue } });

function bootstrap(): string {
  const clusters = Array.from({ length: services }, (_, index) => ({
    name: `service-${index}`,
    type: "STATIC",
    connectTimeout: "5s",
    loadAssignment: {
      clusterName: `service-${index}`,
      endpoints: [{ lbEndpoints: [{ endpoint: { address: port(9) } }] }],
    },
  }));
  return JSON.stringify({ node: { id: "default.bench", cluster: "bench" }, staticResources: { clusters } });
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error(`${child.spawnfile} could not be started`);
  return child.pid;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await gone;
}

const scratch = mkdtempSync(path.join(tmpdir(), "bench-dp-"));

async function benchKumaDp(): Promise<{ kumaDp: Cost[]; bare: Cost[] }> {
  const cp = createServer((_request, response) => response.end(bootstrap()));
  await new Promise<void>((resolve) => cp.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(cp.address() as AddressInfo).port}`;
  const result: { kumaDp: Cost[]; bare: Cost[] } = { kumaDp: [], bare: [] };
  for (let round = 0; round < rounds; round++) {
    const env = { ...process.env, TMPDIR: scratch };
    const bare = spawn(process.execPath, ["-e", "setInterval(() => {}, 2 ** 30)"], { stdio: "ignore" });
    const args = ["run", "--name=bench", `--cp-address=${url}`];
    const kumaDp = spawn(path.join(bin, "kuma-dp"), args, { env, stdio: "ignore" });
    try {
      await eventually("kuma-dp has started Envoy", () => {
        const [directory] = readdirSync(scratch).filter((name) => name.startsWith("kuma-dp-"));
        if (directory === undefined || kumaDp.exitCode !== null) throw new Error(`exit code ${kumaDp.exitCode}`);
        return readFileSync(path.join(scratch, directory, "envoy.pid"), "utf8").includes('"envoy"');
      });
      const [ours, floor] = await measure([pidOf(kumaDp), pidOf(bare)]);
      if (ours !== undefined && floor !== undefined) {
        result.kumaDp.push(ours);
        result.bare.push(floor);
      }
    } finally {
      await Promise.all([end(kumaDp), end(bare)]);
    }
  }
  cp.close();
  return result;
}

async function benchEnvoy(counts: readonly number[]): Promise<Map<number, Cost[]>> {
  const file = path.join(scratch, "bootstrap.yaml");
  writeFileSync(file, bootstrap());
  const costs = new Map<number, Cost[]>(counts.map((count) => [count, []]));
  for (let round = 0; round < rounds; round++) {
    const envoys = counts.map((count) =>
      spawn(
        path.join(bin, "envoy"),
        ["-c", file, "--disable-hot-restart", "--concurrency", String(count), "--log-level", "error"],
        { stdio: "ignore" },
      ),
    );
    try {
      const measured = await measure(envoys.map(pidOf));
      measured.forEach((cost, index) => void costs.get(counts[index] ?? 0)?.push(cost));
    } finally {
      await Promise.all(envoys.map(end));
    }
  }
  return costs;
}

const megabytes = (kib: number) => Math.round((kib / 1024) * 10) / 10;
const show = ({ resident, own, cpu }: Cost) => ({
  residentMiB: megabytes(resident),
  ownMiB: megabytes(own),
  cpuMsPerMinute: Math.round(cpu * 10) / 10,
});
const ratio = (ours: number, floor: number) => Math.round((ours / floor) * 1000) / 1000;

try {
  const chosen = readSettings({ name: "bench" }, {}, scratch).settings.concurrency;
  // 16 stands for a larger machine, whose cores Envoy would use one and all if nobody told it otherwise.
  const counts = [...new Set([1, 2, availableParallelism(), 16, chosen])].toSorted((a, b) => a - b);
  const { kumaDp, bare } = await benchKumaDp();
  const envoys = await benchEnvoy(counts);
  const [ours, floor] = [medians(kumaDp), medians(bare)];
  const envoyMedians = new Map([...envoys].map(([count, costs]) => [count, medians(costs)]));
  const [envoy, one] = [envoyMedians.get(chosen), envoyMedians.get(1)];
  if (envoy === undefined || one === undefined) throw new Error("an Envoy was not measured");
  console.log(`idle, medians of ${rounds} rounds; Envoys know ${services} services`);
  console.table({
    "bare runtime": show(floor),
    "kuma-dp": show(ours),
    ...Object.fromEntries([...envoyMedians].map(([count, cost]) => [`envoy --concurrency ${count}`, show(cost)])),
  });
  const spread = (costs: readonly Cost[]) => costs.map(show);
  console.log(
    JSON.stringify({
      bench: "dp",
      ratios: {
        residentMemory: ratio(ours.resident, floor.resident),
        ownMemory: ratio(ours.own, floor.own),
        idleCpu: ratio(Math.max(ours.cpu, cpuNoise), Math.max(floor.cpu, cpuNoise)),
        envoyOwnMemory: ratio(envoy.own, one.own),
      },
      details: {
        concurrency: chosen,
        kumaDp: spread(kumaDp),
        bare: spread(bare),
        envoy: Object.fromEntries([...envoyMedians].map(([count, cost]) => [count, show(cost)])),
      },
    }),
  );
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
