// deadline: 900 s
// only in npm run test:kubernetes
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { suite } from "../support/suite.js";
import { apiServerServiceAddress } from "./control-plane.js";
import { type Installation, mutualTls, startInstallation, webApplication } from "./installation.js";
import { figuresOf, lossesSince, type MeshState, meshStateOf } from "./mesh-state.js";
import { corePath, kumaPath, objectsOf } from "./objects.js";

const test = suite("three control planes on a Kubernetes node, and outages", {
  needs: ["kubernetes", "root", "envoy"],
});

/** How long the API server is away, in seconds. A shorter time saves time, and shows less. */
const outageSeconds = Number(process.env.KUBERNETES_OUTAGE_SECONDS ?? "120");
const sidecarCount = 3;
/** After an outage, Kubernetes' own components wait for up to half a minute before they ask the API server again. */
const joinMs = 100_000;

let installation: Installation;
let objects: ReturnType<typeof objectsOf>;
let mesh: ReturnType<typeof meshStateOf>;
/** The state before the outage of a test. */
let before: MeshState;
const figures: string[] = [];

const since = (start: number) => `${((performance.now() - start) / 1000).toFixed(1)} s`;

const expectedPods = async () => (await mesh.pods()).map(({ metadata }) => metadata.name).sort();

async function allJoined(count: number): Promise<void> {
  await eventually(
    `${count} sidecars have certificates and are connected`,
    async () => {
      const { sidecars } = await mesh.take();
      const ready = Object.values(sidecars).filter(({ connected, identities }) => connected && identities.length === 2);
      if (ready.length === count && Object.keys(sidecars).length === count) return true;
      throw new Error(JSON.stringify(sidecars));
    },
    joinMs,
  );
}

test.before(async () => {
  installation = await startInstallation();
  objects = objectsOf(installation.node);
  mesh = meshStateOf(installation.node, "demo");
  const { runReadme, node } = installation;
  await runReadme("kumactl install control-plane --image-registry registry.example.com/mesh | kubectl", {
    "install control-plane": "install control-plane --replicas 3",
  });
  await runReadme("create namespace demo");
  await node.apply(webApplication("demo", sidecarCount));
  await node.apply(mutualTls("demo"));
  await installation.run("kubectl rollout status -n demo deployment/web --timeout=120s");
  await allJoined(sidecarCount);
});
test.before.each(async () => {
  before = await mesh.take();
});
test.after(async () => {
  for (const figure of figures) console.log(figure);
  if (process.env.SHOW_LOG !== undefined) {
    const logs = ["logs", "-n", "kuma-system", "-l", "app=kuma-control-plane", "--tail=60", "--prefix"];
    console.log((await installation.node.tryKubectl(logs)).stdout);
  }
  await installation?.stop();
});

interface Lease {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly spec: { readonly holderIdentity: string; readonly renewTime: string };
}
const leaseApi = "/apis/coordination.k8s.io/v1/namespaces/kuma-system/leases";
const leaderLease = () => objects.find<Lease>(`${leaseApi}/kuma-cp-leader`);

interface ControlPlanePod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly status: {
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly restartCount: number }[];
  };
}

const controlPlanes = async () => {
  const all = await objects.list<ControlPlanePod>(
    `${corePath("pods", "kuma-system")}?labelSelector=app%3Dkuma-control-plane`,
  );
  return all.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
};

const isReady = ({ status }: ControlPlanePod) =>
  status.conditions?.some((one) => one.type === "Ready" && one.status === "True") ?? false;

async function threeReady(): Promise<void> {
  await eventually(
    "three control planes are ready",
    async () => (await controlPlanes()).filter(isReady).length === 3,
    100_000,
  );
}

/** The pod of the control plane that leads: the only one whose last word about leading is that it does. */
async function leaderPod(): Promise<string> {
  const leading: string[] = [];
  for (const { metadata } of await controlPlanes()) {
    const log = await installation.node.kubectl(["logs", "-n", "kuma-system", metadata.name]);
    const words = log.split("\n").filter((line) => /this control plane (no longer )?leads/.test(line));
    if (words.at(-1)?.includes("this control plane leads") === true) leading.push(metadata.name);
  }
  assert.is(leading.length, 1, `these lead: ${leading}`);
  return leading[0] ?? "";
}

/** A new pod gets its Dataplane, its certificate and its configuration; and nothing of the older ones changed. */
async function stillWorks(after: string): Promise<void> {
  const start = performance.now();
  await installation.run(`kubectl scale -n demo deployment/web --replicas=${sidecarCount + 1}`);
  await allJoined(sidecarCount + 1);
  figures.push(`${after}: a new pod joined ${since(start)} after kubectl scale`);
  const now = await mesh.take();
  assert.equal(lossesSince(before, now), []);
  figures.push(`${after}: ${figuresOf(now)}`);
  // The newest one goes.
  const newest = (await expectedPods()).find((name) => before.sidecars[name] === undefined);
  await installation.run(`
    kubectl annotate pod -n demo ${newest} controller.kubernetes.io/pod-deletion-cost=-1
    kubectl scale -n demo deployment/web --replicas=${sidecarCount}`);
  await eventually(
    "its Dataplane and insight go with it",
    async () =>
      (await objects.list(kumaPath("dataplanes", "demo"))).length === sidecarCount &&
      (await objects.list(kumaPath("dataplaneinsights", "demo"))).length === sidecarCount,
  );
}

test("the leader's pod is deleted, and another control plane leads", async () => {
  const lease = await leaderLease();
  const pod = await leaderPod();
  const start = performance.now();
  await installation.run(`kubectl delete pod -n kuma-system ${pod} --wait=false`);
  await eventually("another one holds the Lease", async () => {
    const holder = (await leaderLease())?.spec.holderIdentity ?? "";
    return holder !== "" && holder !== lease?.spec.holderIdentity;
  });
  figures.push(`the leader's pod was deleted: another control plane had the Lease after ${since(start)}`);
  await eventually("all sidecars are connected", async () =>
    Object.values((await mesh.take()).sidecars).every(({ connected }) => connected),
  );
  figures.push(`the leader's pod was deleted: all sidecars were connected after ${since(start)}`);
  await stillWorks("the leader's pod was deleted");
  await threeReady();
});

test("the leader is killed without a chance to give its Lease up, and another control plane leads", async () => {
  const lease = await leaderLease();
  const pod = await leaderPod();
  const start = performance.now();
  await mesh.kill(pod, "control-plane");
  await eventually("another one holds the Lease", async () => {
    const holder = (await leaderLease())?.spec.holderIdentity ?? "";
    return holder !== "" && holder !== lease?.spec.holderIdentity;
  });
  figures.push(`the leader was killed: another control plane had the Lease after ${since(start)}`);
  await stillWorks("the leader was killed");
  await threeReady();
});

test("the leader's Lease is deleted, and one control plane leads", async () => {
  const lease = await leaderLease();
  const start = performance.now();
  await objects.delete(`${leaseApi}/kuma-cp-leader`);
  await eventually("there is a new Lease with a holder", async () => {
    const found = await leaderLease();
    return found !== undefined && found.metadata.uid !== lease?.metadata.uid && found.spec.holderIdentity !== "";
  });
  figures.push(`the Lease was deleted: there was a new one after ${since(start)}`);
  await eventually("one leads", leaderPod);
  await stillWorks("the Lease was deleted");
});

/** The node's own recovery, which ours can't be faster than: kube-proxy knows the API server's address again. */
const reachedByPods = () =>
  eventually(
    "pods reach the API server through its Service",
    async () => {
      const connect = `exec 3<>/dev/tcp/${apiServerServiceAddress}/443`;
      return (await installation.node.exec(["timeout", "2", "bash", "-c", connect])).status === 0;
    },
    joinMs,
  );

const restarts = async () =>
  (await controlPlanes()).map(({ metadata, status }) => [metadata.name, status.containerStatuses?.[0]?.restartCount]);

/** Requests to a control plane's pod that don't need the API server. */
async function statusOf(port: number, place: string): Promise<number> {
  return (await fetch(`http://127.0.0.1:${port}${place}`)).status;
}

test(`the API server is away for ${outageSeconds} s`, async () => {
  const { node } = installation;
  const { apiServer } = node.own.components;
  const pods = await controlPlanes();
  const restartsBefore = await restarts();
  const names = await expectedPods();
  const health = await Promise.all(pods.map(({ status }) => node.own.network.reach(status.podIP ?? "", 5680)));
  const all = async (place: string) => Promise.all(health.map((port) => statusOf(port, place)));
  const start = performance.now();
  await apiServer.stop();
  await eventually("no control plane is ready", async () => (await all("/ready")).every((status) => status === 503));
  figures.push(`the API server was away: no control plane was ready after ${since(start)}`);
  let looks = 0;
  await eventually(
    "the outage is over",
    async () => {
      const sidecars = await mesh.sidecarsOf(names);
      assert.equal(lossesSince({ objects: {}, sidecars: before.sidecars }, { objects: {}, sidecars }), []);
      assert.equal(await all("/healthy"), [200, 200, 200]);
      looks++;
      return performance.now() - start > outageSeconds * 1000;
    },
    outageSeconds * 1000 + 60_000,
  );
  const connections = (state: MeshState["sidecars"]) =>
    Object.values(state).reduce((sum, { connections: count }) => sum + count, 0);
  const during = connections(await mesh.sidecarsOf(names)) - connections(before.sidecars);
  figures.push(
    `the API server was away: looked ${looks} times at ${names.length} sidecars; new connections: ${during}`,
  );
  apiServer.start();
  const back = performance.now();
  await node.ready();
  figures.push(`the API server was back after ${since(back)}`);
  await reachedByPods();
  figures.push(`the API server was back: pods reached it after ${since(back)}`);
  await eventually("the control planes are ready", async () => (await all("/ready")).every((status) => status === 200));
  figures.push(`the API server was back: all control planes were ready after ${since(back)}`);
  await threeReady();
  assert.equal(await restarts(), restartsBefore);
  await eventually("one leads", leaderPod);
  await stillWorks("the API server was away");
});

test("etcd is compacted, and it and the API server are started anew", async () => {
  const { own, ready } = installation.node;
  const { etcd, apiServer } = own.components;
  const start = performance.now();
  const revision = await own.compact();
  await apiServer.stop();
  await etcd.stop();
  etcd.start();
  apiServer.start();
  await ready();
  figures.push(`etcd was compacted to revision ${revision}, and both were back after ${since(start)}`);
  await reachedByPods();
  figures.push(`etcd was compacted: pods reached the API server after ${since(start)}`);
  await threeReady();
  await stillWorks("etcd was compacted and restarted");
});

test.run();
