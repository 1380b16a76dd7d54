import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { type ControlPlane, put, startControlPlane } from "../support/executable.js";
import { type Application, type MeshStage, openMeshStage, reaches, type Sidecar } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { type PostgresServer, startPostgres } from "../support/postgres.js";
import { startRestlessTraffic } from "../support/restless-traffic.js";
import { openBareDiscovery, openSecretStream } from "../support/secret-client.js";
import { suite } from "../support/suite.js";

const test = suite("a mesh whose control planes share PostgreSQL", { needs: ["envoy", "postgres"] });

let server: PostgresServer;
let settings: Record<string, string>;
let stage: MeshStage;
let other: ControlPlane;
let app: Application;
let second: Application;
let redis: Sidecar;
let backend: Sidecar;
const ports = { redis: 0, redis2: 0, backend: 0, web: 0, out: 0, webOut: 0, late: 0 };

interface Subscription {
  readonly id: string;
  readonly controlPlaneInstanceId: string;
  readonly disconnectTime?: string;
}

async function subscriptions(api: string, name: string): Promise<readonly Subscription[]> {
  const response = await fetch(`${api}/meshes/default/dataplanes+insights/${name}`);
  const { dataplaneInsight } = (await response.json()) as { dataplaneInsight: { subscriptions?: Subscription[] } };
  return dataplaneInsight.subscriptions ?? [];
}

const isOpen = ({ disconnectTime }: Subscription) => disconnectTime === undefined;
const ready = async (cp: ControlPlane) => (await fetch(`${cp.health}/ready`)).status === 200;

/** The ports that sidecars know the control plane by: whoever takes its place needs them. */
const samePorts = (cp: ControlPlane) => ({
  KUMA_XDS_SERVER_GRPC_PORT: String(cp.xdsPort),
  KUMA_SDS_SERVER_GRPC_PORT: String(cp.sdsPort),
  KUMA_BOOTSTRAP_SERVER_PORT: new URL(cp.bootstrap).port,
});

const inbound = (port: number, service: string, of: Application) => [
  { interface: `127.0.0.1:${port}:${of.port}`, tags: { service } },
];

/** Envoy's own count of its connections to a control plane: 1 when it has one. */
const connected = async (sidecar: Sidecar) =>
  (await sidecar.ask("/stats?filter=control_plane.connected_state")).includes("connected_state: 1");

test.before(async () => {
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  server = await startPostgres();
  const { host, port, user, password, database } = await server.createDatabase();
  settings = {
    KUMA_STORE_TYPE: "postgres",
    KUMA_STORE_POSTGRES_HOST: host,
    KUMA_STORE_POSTGRES_PORT: String(port),
    KUMA_STORE_POSTGRES_USER: user,
    KUMA_STORE_POSTGRES_PASSWORD: password,
    KUMA_STORE_POSTGRES_DB_NAME: database,
  };
  stage = await openMeshStage(settings);
  other = await startControlPlane(settings);
  [app, second] = [await stage.application("redis-1"), await stage.application("redis-2")];
  await stage.apply("redis-1", { inbound: inbound(ports.redis, "redis", app) });
  await stage.apply("backend-1", {
    inbound: inbound(ports.backend, "backend", app),
    outbound: [{ interface: `:${ports.out}`, service: "redis" }],
  });
  assert.is(await stage.mtls(true), 200);
  assert.is(await stage.permit("all", ["*"], ["*"]), 201);
  redis = await stage.sidecar("redis-1");
  // Its control plane is the other one; its token is of the first.
  backend = await stage.sidecar("backend-1", { env: { KUMA_CONTROL_PLANE_BOOTSTRAP_SERVER_URL: other.bootstrap } });
  await reaches(ports.out, "redis-1");
});

test.after(async () => {
  if (other.child.exitCode === null) await other.kill();
  await stage.close();
  await server.close();
});

test("a token of one control plane proves a name to the other, whose certificates its proxies accept", async () => {
  assert.match(await redis.ask("/stats?filter=ssl.handshake"), /inbound.*ssl.handshake: [1-9]|ssl.handshake: [1-9]/);
  const [[first], [later]] = await Promise.all([
    eventually("redis is known", async () => {
      const all = await subscriptions(other.api, "redis-1");
      return all.length > 0 ? all : undefined;
    }),
    eventually("backend is known", async () => {
      const all = await subscriptions(stage.cp.api, "backend-1");
      return all.length > 0 ? all : undefined;
    }),
  ]);
  assert.ok(first && later);
  assert.is.not(first.controlPlaneInstanceId, later.controlPlaneInstanceId);
});

test("what is applied through one is routed by the proxies of the other", async () => {
  await stage.apply("redis-2", { inbound: inbound(ports.redis2, "redis", second) });
  const knows = async () => (await backend.ask("/clusters")).includes(`:${ports.redis2}::`);
  await eventually("backend knows of redis-2", knows);
  await stage.sidecar("redis-2");
  await reaches(ports.out, "redis-2");
  assert.is(await stage.remove("/meshes/default/dataplanes/redis-2"), 200);
  await eventually("backend knows that it is gone", async () => !(await knows()));
});

test("a control plane killed under traffic costs no connection, and its streams count as closed", async () => {
  const traffic = await startRestlessTraffic(ports.out, "redis-1");
  const [before] = (await subscriptions(other.api, "redis-1")).filter(isOpen);
  await stage.cp.kill();
  await eventually("traffic went on without it", () => traffic.served() > 50);
  stage.cp = await startControlPlane({ ...settings, ...samePorts(stage.cp) });
  const now = await eventually("redis is connected to the new one", async () => {
    const open = (await subscriptions(stage.cp.api, "redis-1")).filter(isOpen);
    const [found] = open;
    return open.length === 1 && found?.controlPlaneInstanceId !== before?.controlPlaneInstanceId ? found : undefined;
  });
  assert.is.not(now.id, before?.id);
  const served = traffic.served();
  await eventually("traffic goes on with the new one", () => traffic.served() > served + 50);
  await traffic.stop();
  assert.equal(traffic.failures, []);
  assert.ok(traffic.echoed() > 50);
});

test("after that a new dataplane gets a certificate that the old ones accept, from the same root", async () => {
  await stage.apply("web-1", {
    inbound: inbound(ports.web, "web", app),
    outbound: [{ interface: `:${ports.webOut}`, service: "redis" }],
  });
  await stage.sidecar("web-1");
  await reaches(ports.webOut, "redis-1");
});

test("the database gone for ten seconds: traffic goes on, nothing is emptied, a sidecar may even start", async () => {
  const traffic = await startRestlessTraffic(ports.out, "redis-1");
  const listeners = await backend.ask("/listeners");
  const clusters = (await backend.ask("/clusters")).split("\n").filter((line) => line.includes("::cx_active")).length;
  assert.is(await stage.apply("late-1", { inbound: inbound(ports.late, "late", app) }), 201);
  const gone = performance.now();
  await server.stop();
  for (const cp of [stage.cp, other]) {
    await eventually("it is not ready", async () => !(await ready(cp)));
    assert.is((await fetch(`${cp.health}/healthy`)).status, 200);
    assert.is(await put(cp.api, "/meshes/m", { type: "Mesh", name: "m" }), 503);
    assert.is((await fetch(`${cp.api}/meshes/default/dataplanes/backend-1`)).status, 200);
  }
  const late = await stage.sidecar("late-1");
  await eventually("it has its listener", async () => (await late.ask("/listeners")).includes(`:${ports.late}`));
  await eventually("ten seconds are over", () => performance.now() - gone > 10_000);
  assert.is(await backend.ask("/listeners"), listeners);
  const after = (await backend.ask("/clusters")).split("\n").filter((line) => line.includes("::cx_active")).length;
  assert.is(after, clusters);
  await server.start();
  for (const cp of [stage.cp, other]) await eventually("it is ready again", () => ready(cp));
  assert.is(await put(other.api, "/meshes/m", { type: "Mesh", name: "m" }), 201);
  await eventually(
    "what happened meanwhile is recorded",
    async () => (await subscriptions(other.api, "late-1")).length === 1,
  );
  await traffic.stop();
  assert.equal(traffic.failures, []);
});

test("a rotation begun at one waits for the dataplanes of the other, and costs no connection", async () => {
  const traffic = await startRestlessTraffic(ports.out, "redis-1");
  await stage.apply("slow-1", { inbound: [{ interface: "127.0.0.1:1:2", tags: { service: "slow" } }] });
  const connectedToOther = openBareDiscovery(other.xdsPort, "default.slow-1");
  const slow = await openSecretStream(other.sdsPort, "default.slow-1");
  slow.request(["mesh_ca"]);
  slow.request(["mesh_ca"], (await slow.next(1)).nonce);
  await eventually("it counts as connected", async () => (await subscriptions(stage.cp.api, "slow-1")).some(isOpen));

  const authority = async (cp: ControlPlane) => {
    const response = await fetch(`${cp.api}/meshes/default/certificate-authority`);
    return (await response.json()) as { state: string; waitingFor?: string[]; roots: { fingerprint: string }[] };
  };
  assert.is(stage.kumactl("manage", "ca", "rotate").status, 0);
  const added = await slow.next(2);
  for (const cp of [stage.cp, other]) {
    await eventually("only the slow one is waited for", async () => {
      const { state, waitingFor } = await authority(cp);
      return state === "distributing" && waitingFor?.join() === "slow-1";
    });
  }
  slow.request(["mesh_ca"], added.nonce);
  for (const cp of [stage.cp, other]) {
    await eventually("the new root signs", async () => (await authority(cp)).state === "retiring");
  }
  assert.equal((await authority(stage.cp)).roots, (await authority(other)).roots);
  const served = traffic.served();
  await eventually("traffic goes on with certificates of the new root", () => traffic.served() > served + 50);
  await traffic.stop();
  assert.equal(traffic.failures, []);
  slow.close();
  connectedToOther.close();
  await stage.remove("/meshes/default/dataplanes/slow-1");
});

test("a control plane that dies and does not come back leaves nobody online", async () => {
  const traffic = await startRestlessTraffic(ports.out, "redis-1");
  assert.ok(await connected(backend));
  const [open] = (await subscriptions(stage.cp.api, "backend-1")).filter(isOpen);
  assert.ok(open);
  await other.kill();
  await eventually("the surviving one has closed its stream", async () => {
    const all = await subscriptions(stage.cp.api, "backend-1");
    return all.length > 0 && !all.some(isOpen);
  });
  const { stdout } = stage.kumactl("inspect", "dataplanes");
  assert.match(stdout, /backend-1 .*Offline/);
  assert.match(stdout, /redis-1 .*Online/);
  await traffic.stop();
  assert.equal(traffic.failures, []);
});

test.run();
