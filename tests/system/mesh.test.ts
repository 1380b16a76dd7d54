import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { type ControlPlane, put, type Running, startControlPlane, startProgram } from "../support/executable.js";
import { greeting, onlyReaches } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";

const test = suite("two services with sidecars", { needs: "envoy" });

interface Insight {
  readonly subscriptions?: readonly {
    readonly id: string;
    readonly controlPlaneInstanceId: string;
    readonly disconnectTime?: string;
    readonly status: Readonly<Record<string, { responsesSent?: string; responsesAcknowledged?: string }>>;
  }[];
}

let cp: ControlPlane;
let temporary: string;
const sidecars = new Map<string, Running>();
const servers: net.Server[] = [];
const ports = { redisIn: 0, redis2In: 0, backendIn: 0, out: 0, out2: 0, redisAdmin: 0, backendAdmin: 0, lonely: 0 };
let redisApp: number;
let redis2App: number;

/** An application that greets with its name and sends back what it gets. */
async function application(name: string): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.write(`${name}\n`);
    socket.pipe(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as net.AddressInfo).port;
}

interface Dataplane {
  readonly inbound: readonly { interface: string; tags: Record<string, string> }[];
  readonly outbound?: readonly { interface: string; service: string }[];
}

const apply = (name: string, networking: Dataplane, mesh = "default") =>
  put(cp.api, `/meshes/${mesh}/dataplanes/${name}`, { type: "Dataplane", mesh, name, networking });

const remove = (path: string) => fetch(`${cp.api}${path}`, { method: "DELETE" });

function startSidecar(name: string, adminPort: number): void {
  const running = startProgram("kuma-dp", ["run", `--admin-port=${adminPort}`], {
    KUMA_CONTROL_PLANE_BOOTSTRAP_SERVER_URL: cp.bootstrap,
    KUMA_DATAPLANE_NAME: name,
    KUMA_DATAPLANE_DRAIN_TIME: "2s",
    TMPDIR: temporary,
  });
  sidecars.set(name, running);
}

const admin = async (port: number, path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text();

async function insight(name: string): Promise<NonNullable<Insight["subscriptions"]>> {
  const response = await fetch(`${cp.api}/meshes/default/dataplanes+insights/${name}`);
  const { dataplaneInsight } = (await response.json()) as { dataplaneInsight: Insight };
  return dataplaneInsight.subscriptions ?? [];
}

const redis = (): Dataplane => ({
  inbound: [{ interface: `127.0.0.1:${ports.redisIn}:${redisApp}`, tags: { service: "redis" } }],
});
const redis2 = (): Dataplane => ({
  inbound: [{ interface: `127.0.0.1:${ports.redis2In}:${redis2App}`, tags: { service: "redis" } }],
});
const backend = (...more: { interface: string; service: string }[]): Dataplane => ({
  inbound: [{ interface: `127.0.0.1:${ports.backendIn}:${redisApp}`, tags: { service: "backend" } }],
  outbound: [{ interface: `:${ports.out}`, service: "redis" }, ...more],
});

test.before(async () => {
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  [redisApp, redis2App] = [await application("redis-1"), await application("redis-2")];
  temporary = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-test-"));
  cp = await startControlPlane();
  assert.is(await apply("redis-1", redis()), 201);
  assert.is(await apply("backend-1", backend()), 201);
  startSidecar("redis-1", ports.redisAdmin);
  startSidecar("backend-1", ports.backendAdmin);
});

test.after(async () => {
  await Promise.all([...sidecars.values()].map((sidecar) => sidecar.stop()));
  await cp.stop();
  for (const server of servers) server.close();
  const left = fs.readdirSync(temporary);
  fs.rmSync(temporary, { recursive: true, force: true });
  assert.equal(left, [], "kuma-dp leaves nothing behind");
});

test("a client reaches redis through both sidecars", async () => {
  assert.is(await eventually("a greeting comes through", () => greeting(ports.out)), "redis-1");
  const listeners = (await admin(ports.backendAdmin, "/listeners"))
    .trim()
    .split("\n")
    .map((line) => line.split("::")[0]);
  assert.equal(listeners.sort(), [`inbound:127.0.0.1:${ports.backendIn}`, `outbound:127.0.0.1:${ports.out}`]);
  const clusters = await admin(ports.backendAdmin, "/clusters");
  assert.equal(
    [
      ...new Set(
        clusters
          .trim()
          .split("\n")
          .map((line) => line.split("::")[0]),
      ),
    ].sort(),
    ["ads_cluster", `localhost:${redisApp}`, "redis"],
  );
});

test("the insight counts what was sent and acknowledged, as text", async () => {
  const [subscription, ...more] = await eventually("it is written", async () => {
    const subscriptions = await insight("backend-1");
    return subscriptions[0]?.status.lds?.responsesAcknowledged === undefined ? undefined : subscriptions;
  });
  assert.equal(more, []);
  assert.ok(subscription?.controlPlaneInstanceId);
  assert.is(subscription?.disconnectTime, undefined);
  const status = subscription?.status ?? {};
  let total = 0;
  for (const kind of ["cds", "eds", "lds"]) {
    assert.is(status[kind]?.responsesSent, status[kind]?.responsesAcknowledged, kind);
    assert.ok(Number(status[kind]?.responsesSent) >= 1, kind);
    total += Number(status[kind]?.responsesSent);
  }
  assert.equal(status.rds, {});
  assert.is(status.total?.responsesSent, String(total));
});

test("a second instance gets its share of connections, and none after it is deleted", async () => {
  await apply("redis-2", redis2());
  startSidecar("redis-2", 0);
  await eventually("redis-2 is reached", async () => (await greeting(ports.out)) === "redis-2");
  await remove("/meshes/default/dataplanes/redis-2");
  await eventually(
    "only redis-1 is known",
    async () => !(await admin(ports.backendAdmin, "/clusters")).includes(`:${ports.redis2In}::`),
  );
  await onlyReaches(ports.out, "redis-1");
});

test("a new outbound listens without a restart, and refuses connections after it is removed", async () => {
  await apply("backend-1", backend({ interface: `:${ports.out2}`, service: "redis" }));
  await eventually("the new port answers", () => greeting(ports.out2));
  await apply("backend-1", backend());
  await eventually("the port is closed", async () => {
    const outcome = await greeting(ports.out2).catch((error: NodeJS.ErrnoException) => error.code);
    return outcome === "ECONNREFUSED";
  });
  assert.is(await greeting(ports.out), "redis-1");
});

test("an outbound to a service without instances accepts and closes, and delays nothing", async () => {
  await apply("backend-1", backend({ interface: `:${ports.lonely}`, service: "nobody" }));
  await eventually("it accepts and closes", async () => {
    const outcome = await greeting(ports.lonely).catch((error: Error) => error.message);
    return outcome === "closed without a greeting" || outcome.includes("ECONNRESET");
  });
  assert.is(await greeting(ports.out), "redis-1");
  assert.match(await admin(ports.backendAdmin, "/ready"), "LIVE");
  await apply("backend-1", backend());
});

test("meshes are isolated: the same names in another mesh change nothing", async () => {
  assert.is(await put(cp.api, "/meshes/m2", { type: "Mesh", name: "m2" }), 201);
  assert.is(await apply("redis-1", redis2(), "m2"), 201);
  for (let index = 0; index < 10; index++) assert.is(await greeting(ports.out), "redis-1");
  assert.not.match(await admin(ports.backendAdmin, "/clusters"), `:${ports.redis2In}::`);
});

test("a deleted Dataplane's listeners are removed and come back with it, in the same Envoy", async () => {
  const epoch = async () =>
    (JSON.parse(await admin(ports.backendAdmin, "/server_info")) as { command_line_options: unknown }) &&
    (await admin(ports.backendAdmin, "/stats?filter=server.uptime|server.concurrency"));
  await epoch();
  const before = sidecars.get("backend-1")?.child.pid;
  await remove("/meshes/default/dataplanes/backend-1");
  await eventually("no listener is left", async () => (await admin(ports.backendAdmin, "/listeners")).trim() === "");
  assert.is(await apply("backend-1", backend()), 201);
  await eventually("traffic is back", () => greeting(ports.out));
  assert.is(sidecars.get("backend-1")?.child.pid, before);
  assert.is(sidecars.get("backend-1")?.child.exitCode, null);
});

test("nothing is sent while nothing changes", async () => {
  const modified = async () =>
    (await admin(ports.backendAdmin, "/stats?filter=update_success|update_attempt|lds.version_text")).trim();
  await eventually("all is acknowledged", async () => {
    const response = await fetch(`${cp.api}/meshes/default/dataplanes/backend-1/xds?diff=true`);
    return ((await response.json()) as { readonly settled: boolean }).settled;
  });
  const before = await modified();
  for (let index = 0; index < 100; index++) await greeting(ports.out);
  assert.is(await put(cp.api, "/meshes/m2", { type: "Mesh", name: "m2", tracing: {} }), 200);
  await apply("elsewhere-1", { inbound: [{ interface: "127.0.0.1:1:2", tags: { service: "elsewhere" } }] });
  await eventually(
    "the change was seen",
    async () => (await fetch(`${cp.api}/meshes/default/dataplanes/elsewhere-1`)).ok,
  );
  assert.is(await modified(), before);
});

test("a stopped sidecar is Offline and, started again, Online with a new subscription", async () => {
  await sidecars.get("redis-1")?.stop();
  const [old] = await eventually("the disconnect time is written", async () => {
    const subscriptions = await insight("redis-1");
    return subscriptions.every((subscription) => subscription.disconnectTime !== undefined) ? subscriptions : undefined;
  });
  startSidecar("redis-1", ports.redisAdmin);
  const now = await eventually("a new subscription appears", async () => {
    const subscriptions = await insight("redis-1");
    return subscriptions.length === 2 ? subscriptions : undefined;
  });
  assert.is(now[0]?.id, old?.id);
  assert.is(now[1]?.disconnectTime, undefined);
  await eventually("redis is reached again", () => greeting(ports.out));
});

test("the control plane is killed: traffic continues; it restarts empty: Envoys keep their configuration", async () => {
  const restarted = {
    KUMA_XDS_SERVER_GRPC_PORT: String(cp.xdsPort),
    KUMA_BOOTSTRAP_SERVER_PORT: new URL(cp.bootstrap).port,
  };
  await cp.kill();
  for (let index = 0; index < 20; index++) assert.is(await greeting(ports.out), "redis-1");
  cp = await startControlPlane(restarted);
  await eventually("Envoy is connected again", async () =>
    (await admin(ports.backendAdmin, "/stats?filter=control_plane.connected_state")).includes("connected_state: 1"),
  );
  for (let index = 0; index < 20; index++) assert.is(await greeting(ports.out), "redis-1");
  const listeners = (await admin(ports.backendAdmin, "/listeners")).trim().split("\n");
  assert.is(listeners.length, 2);
  await apply("redis-1", redis());
  await apply("backend-1", backend());
  await eventually("the insight is back", async () => (await insight("backend-1")).length === 1);
  assert.is(await greeting(ports.out), "redis-1");
});

test.run();
