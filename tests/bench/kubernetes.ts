// What thousands of pods cost: requests to a real API server, writes, time, memory and processor time of kuma-cp, while
// pods start, at rest, in a rolling restart and after a restart of kuma-cp. The floor is a bare client that creates the
// same Dataplanes, as many at a time, on the same API server before kuma-cp and its webhooks exist.
import { createKubeClient, type KubeClient } from "../../src/kubeapi/client.js";
import { loadCredentials } from "../../src/kubeapi/credentials.js";
import type { KubeObject } from "../../src/kubeapi/object.js";
import { queueTimes } from "../../src/kubernetes/controllers/work-queue.js";
import { apiVersion, customObjects } from "../../src/kubernetes/custom-objects.js";
import { inLanes } from "../../src/lib/lanes.js";
import { startApiServer } from "../kubernetes/api-server.js";
import { type Audited, type AuditLog, auditLog } from "../kubernetes/audit.js";
import { controlPlaneAccount, installCrds, installKuma, startKumaCp } from "../kubernetes/kuma-cp.js";
import { eventually } from "../support/eventually.js";
import type { ControlPlane } from "../support/executable.js";
import { UsageError } from "../support/usage-error.js";
import { observe } from "./kubernetes/observer.js";
import { type ClusterSize, readOptions } from "./kubernetes/options.js";
import { createWorkload, type Workload } from "./kubernetes/workload.js";
import { cpuSecondsOf, residentBytesOf } from "./load/process-cost.js";

const account = "system:serviceaccount:kuma-system:kuma-control-plane";
/** No phase takes longer. */
const phaseMs = 180_000;
const restMs = 15_000;
/**
 * A pod's Dataplane is created and, as services appear meanwhile, updated once or twice. A restarted pod's one is deleted
 * with what was recorded about it, of which two types exist, and created.
 */
const bounds = { writesPerPod: 3, requestsPerPod: 3.5, requestsPerRestart: 5, writesPerRestart: 3, atRest: 2 } as const;

const digits = (value: number, count: number) => Number(value.toFixed(count));
const mebibytes = (bytes: number) => digits(bytes / 2 ** 20, 1);
const seconds = (from: number, to: number) => digits(Math.max(to - from, 0) / 1_000, 2);
const pause = (milliseconds: number) => new Promise<void>((resolve) => void setTimeout(resolve, milliseconds));

interface Requests {
  /** How many, by verb and resource; those of `events` too. */
  readonly kinds: Readonly<Record<string, number>>;
  /** All but events, of which at most 20 a second are written. */
  readonly count: number;
  /** Those that are not made at rest as well, to renew leases. */
  readonly ofPods: number;
  readonly dataplaneWrites: number;
  readonly events: number;
  /** Answered with 400 or more. */
  readonly refused: Readonly<Record<string, number>>;
}

const writing = ["create", "update", "patch", "delete"];
const kindOf = ({ verb, objectRef }: Audited) => `${verb} ${objectRef?.resource ?? "/"}`;

function requestsOf(audited: readonly Audited[]): Requests {
  const counts = (of: readonly Audited[], key: (one: Audited) => string) =>
    Object.fromEntries([...Map.groupBy(of, key)].map(([name, all]) => [name, all.length]));
  const isEvent = ({ objectRef }: Audited) => objectRef?.resource === "events";
  const refused = audited.filter(({ responseStatus }) => (responseStatus?.code ?? 0) >= 400);
  const isWrite = ({ verb, objectRef }: Audited) => objectRef?.resource === "dataplanes" && writing.includes(verb);
  return {
    kinds: counts(audited, kindOf),
    count: audited.filter((one) => !isEvent(one)).length,
    ofPods: audited.filter((one) => !isEvent(one) && one.objectRef?.resource !== "leases").length,
    dataplaneWrites: audited.filter(isWrite).length,
    events: audited.filter(isEvent).length,
    refused: counts(refused, (one) => `${kindOf(one)} ${one.responseStatus?.code}`),
  };
}

const show = (of: Readonly<Record<string, number>>) =>
  Object.entries(of)
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");

/** What a process has used. */
interface Usage {
  readonly cpu: number;
  readonly resident: number;
}

const usageOf = ({ child: { pid = 0 } }: ControlPlane): Usage => ({
  cpu: cpuSecondsOf(pid),
  resident: residentBytesOf(pid),
});

interface Floor {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** Creates Dataplanes of the size that kuma-cp will write, as many at a time as it does, and deletes them. */
async function measureFloor(client: KubeClient, { services, namespaces }: Workload, size: ClusterSize): Promise<Floor> {
  const outbound = services.map(({ metadata, spec }) => ({
    interface: `${(spec as { clusterIP: string }).clusterIP}:80`,
    service: `${metadata.name}.${metadata.namespace}.svc:80`,
  }));
  const tags = { app: "app-0", "pod-template-hash": "5d4f8c7b6f", version: "v1", service: "app-0.team-0.svc:80" };
  const numbers = Array.from({ length: size.pods }, (_, index) => index);
  const cpu = process.cpuUsage();
  const began = performance.now();
  await inLanes(numbers, queueTimes.atOnce, (number) => {
    const namespace = namespaces[number % namespaces.length] ?? "";
    const name = `floor-${number}`;
    // Without an owner: the collector would delete what has one that does not exist.
    const metadata = { namespace, name };
    const inbound = [{ interface: "10.128.10.10:8080:8080", tags }];
    const spec = { networking: { inbound, outbound, transparentProxying: { redirectPort: 15_001 } } };
    return client.create(customObjects("dataplanes", namespace), {
      apiVersion,
      kind: "Dataplane",
      mesh: "default",
      metadata,
      spec,
    });
  });
  const taken = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  return { seconds: taken / 1_000, cpuSeconds: (user + system) / 1e6 };
}

/** Deletes the Dataplanes of the namespaces. */
async function deleteDataplanes(client: KubeClient, namespaces: readonly string[]): Promise<void> {
  for (const namespace of namespaces) {
    await client.request("DELETE", `/apis/kuma.io/v1alpha1/namespaces/${namespace}/dataplanes`);
  }
}

/** Waits until the events about pods are written, which takes a while since they are written slowly. */
async function drainEvents(log: AuditLog): Promise<readonly Audited[]> {
  const all: Audited[] = [];
  const until = performance.now() + phaseMs;
  for (let quiet = 0; quiet < 3 && performance.now() < until; ) {
    await pause(1_000);
    const taken = log.take();
    all.push(...taken);
    quiet = taken.some(({ objectRef }) => objectRef?.resource === "events") ? 0 : quiet + 1;
  }
  return all;
}

interface Bound {
  readonly what: string;
  readonly value: number;
  readonly most: number;
}

async function run(size: ClusterSize): Promise<void> {
  const title = `${size.pods} pods, ${size.services} Services, a rolling restart of ${size.restarted}`;
  console.log(title);
  const log = auditLog(account);
  const closing: (() => unknown)[] = [() => log.close()];
  try {
    // With controllers: the garbage collector competes with kuma-cp for the Dataplanes of deleted pods.
    const api = await startApiServer({ flags: log.flags });
    closing.unshift(() => api.stop());
    const clientOf = async (kubeconfig: string) => createKubeClient(await loadCredentials({ kubeconfig }));
    const admin = await clientOf(api.kubeconfig);
    closing.unshift(() => admin.close());
    await installCrds(api);
    const bare = await clientOf(await controlPlaneAccount(api));
    closing.unshift(() => bare.close());
    const workload = await createWorkload(admin, size);

    const floor = await measureFloor(bare, workload, size);
    console.log(
      `floor: a bare client creates ${size.pods} Dataplanes in ${digits(floor.seconds, 2)} s ` +
        `(${Math.round(size.pods / floor.seconds)} a second, CPU ${digits(floor.cpuSeconds, 2)} s)`,
    );
    await deleteDataplanes(admin, workload.namespaces);

    const kuma = await installKuma(api);
    let kumaCp = kuma.kumaCp;
    closing.unshift(
      () => kuma.stop(),
      () => kumaCp.stop(),
      () => process.env.SHOW_LOG !== undefined && console.log(kuma.kumaCp.output(), kumaCp.output()),
    );
    const observer = await observe(admin, workload.services);
    closing.unshift(() => observer.close());
    await eventually("kuma-cp leads", () => kumaCp.output().includes("this control plane leads"));
    await pause(restMs / 3);
    const empty = usageOf(kumaCp);
    log.take();

    // Pods start.
    const began = performance.now();
    await workload.createPods((pod) => void observer.expect(pod));
    const created = performance.now();
    await observer.allRight(phaseMs);
    const starting = requestsOf(log.take());
    const busy = usageOf(kumaCp);
    const times = {
      pods: seconds(began, created),
      lastDataplane: seconds(created, observer.lastAppeared),
      allRight: seconds(created, observer.lastRight),
    };
    const perPod = (count: number) => digits(count / size.pods, 2);
    console.log(
      `pods start: written in ${times.pods} s; the last Dataplane ${times.lastDataplane} s later, ` +
        `all right ${times.allRight} s later`,
    );
    console.log(
      `  ${perPod(starting.ofPods)} requests a pod, ${perPod(starting.dataplaneWrites)} writes of Dataplanes a pod; ` +
        `CPU ${digits(busy.cpu - empty.cpu, 1)} s (${show(starting.kinds)})`,
    );
    if (Object.keys(starting.refused).length > 0) console.log(`  refused: ${show(starting.refused)}`);

    // At rest.
    const late = requestsOf(await drainEvents(log));
    const before = usageOf(kumaCp);
    const restFrom = performance.now();
    await pause(restMs);
    const restSeconds = (performance.now() - restFrom) / 1_000;
    const resting = requestsOf(log.take());
    const rest = usageOf(kumaCp);
    const requestsPerSecond = digits(resting.count / restSeconds, 2);
    const growth = rest.resident - empty.resident;
    console.log(
      `at rest: ${requestsPerSecond} requests a second (${show(resting.kinds)}), ` +
        `CPU ${digits(((rest.cpu - before.cpu) / restSeconds) * 100, 1)} %, memory ${mebibytes(rest.resident)} MiB: ` +
        `${mebibytes(growth)} MiB for ${size.pods} pods, ${digits(growth / 1_024 / size.pods, 1)} KiB each ` +
        `(${mebibytes(empty.resident)} MiB before, ${mebibytes(busy.resident)} MiB while they started)`,
    );

    // A rolling restart.
    const restartFrom = performance.now();
    const old: KubeObject[] = [];
    await workload.restart({
      deleted: ({ namespace, name }) => observer.forget(namespace, name),
      created(pod) {
        observer.expect(pod);
        old.push(pod);
      },
      settled: () => observer.allRight(phaseMs),
    });
    const restarted = performance.now();
    // What may still follow belongs to it: the collector and kuma-cp delete the same Dataplanes.
    await pause(2_000);
    const restart = requestsOf(log.take());
    const afterRestart = usageOf(kumaCp);
    const perRestart = (count: number) => digits(count / old.length, 2);
    console.log(
      `rolling restart of ${old.length} pods: ${seconds(restartFrom, restarted)} s, ${perRestart(restart.ofPods)} requests ` +
        `and ${perRestart(restart.dataplaneWrites)} writes of Dataplanes a pod, ` +
        `CPU ${digits(afterRestart.cpu - rest.cpu, 1)} s, memory ${mebibytes(afterRestart.resident)} MiB (${show(restart.kinds)})`,
    );
    if (Object.keys(restart.refused).length > 0) console.log(`  refused: ${show(restart.refused)}`);

    // A control plane that finds all pods and no Dataplane: nothing but writing, in one go.
    await kumaCp.stop();
    await deleteDataplanes(admin, workload.namespaces);
    await eventually("no Dataplane is left", () => observer.count === 0, phaseMs);
    observer.restart();
    log.take();
    const { certificate, admissionPort, kubeconfig } = kuma;
    kumaCp = await startKumaCp(api, { certificate, admissionPort, kubeconfig });
    await observer.allRight(phaseMs);
    const catchUp = requestsOf(log.take());
    const catchUpSeconds = seconds(observer.firstAppeared, observer.lastRight);
    const catchUpUsage = usageOf(kumaCp);
    console.log(
      `all Dataplanes anew after a restart of kuma-cp: ${catchUpSeconds} s from the first to the last, ` +
        `${perPod(catchUp.ofPods)} requests a pod, CPU ${digits(catchUpUsage.cpu, 1)} s, memory ${mebibytes(catchUpUsage.resident)} MiB`,
    );
    console.log(`every Dataplane is what its pod and Services demand: ${observer.count}`);

    const checked: readonly Bound[] = [
      { what: "requests a pod that starts", value: perPod(starting.ofPods), most: bounds.requestsPerPod },
      { what: "writes a pod that starts", value: perPod(starting.dataplaneWrites), most: bounds.writesPerPod },
      { what: "requests a second at rest", value: requestsPerSecond, most: bounds.atRest },
      { what: "requests a restarted pod", value: perRestart(restart.ofPods), most: bounds.requestsPerRestart },
      { what: "writes a restarted pod", value: perRestart(restart.dataplaneWrites), most: bounds.writesPerRestart },
    ];
    for (const { what, value, most } of checked) {
      const holds = value <= most;
      console.log(`${holds ? "holds" : "EXCEEDED"}: ${what}: ${value}, at most ${most}`);
      if (!holds) process.exitCode = 1;
    }
    const ratios = {
      allRight: digits(times.allRight / floor.seconds, 2),
      catchUp: digits(catchUpSeconds / floor.seconds, 2),
      cpu: digits((busy.cpu - empty.cpu) / floor.cpuSeconds, 2),
    };
    const details = {
      ...size,
      floor: { seconds: digits(floor.seconds, 2), cpuSeconds: digits(floor.cpuSeconds, 2) },
      starting: { times, cpuSeconds: digits(busy.cpu - empty.cpu, 1), ...starting, eventsLater: late.events },
      atRest: { requestsPerSecond, kinds: resting.kinds },
      memoryMiB: {
        empty: mebibytes(empty.resident),
        starting: mebibytes(busy.resident),
        atRest: mebibytes(rest.resident),
        restarted: mebibytes(afterRestart.resident),
        caughtUp: mebibytes(catchUpUsage.resident),
      },
      restart: { seconds: seconds(restartFrom, restarted), ...restart },
      catchUp: { seconds: catchUpSeconds, ...catchUp },
      bounds: checked,
    };
    console.log(JSON.stringify({ bench: "kubernetes", ratios, details }));
  } finally {
    for (const close of closing) await close();
  }
}

async function main(): Promise<void> {
  await run(readOptions(process.argv.slice(2)));
}

main().catch((error: unknown) => {
  console.error(error instanceof UsageError ? error.message : error);
  process.exitCode = 1;
});
