// deadline: 1200 s
import { spawnSync } from "node:child_process";
import path from "node:path";
import * as assert from "uvu/assert";
import { pin, previousRelease } from "../../scripts/previous-release.mjs";
import { openLedger } from "../soak/chaos/ledger.js";
import { type Flow, startTraffic, type Traffic } from "../soak/chaos/traffic.js";
import { eventually } from "../support/eventually.js";
import { bin, put, startControlPlane } from "../support/executable.js";
import { denies, greeting, type MeshStage, openMeshStage, reaches, type Sidecar } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { type PostgresServer, startPostgres } from "../support/postgres.js";
import { suite } from "../support/suite.js";

const test = suite(`an upgrade from ${pin.version} and the way back, under traffic`, { needs: ["envoy", "postgres"] });

/**
 * A control plane's certificates last this long, so that those of each control plane in turn are in use. Their last fifth
 * has to be enough, on a machine that is busy, for a control plane to be replaced and for all sidecars to find it.
 */
const validitySeconds = 40;

let previous: string;
let server: PostgresServer;
let stage: MeshStage;
let settings: Record<string, string>;
let traffic: Traffic;
/** A token that a control plane of the previous release made for a sidecar that joins later. */
let oldToken: string;
const sidecars = new Map<string, Sidecar>();
const ledger = openLedger();
const ports = { redis1: 0, redis2: 0, backend: 0, web: 0, out: 0, webOut: 0, backendOut: 0, cacheOut: 0, queueOut: 0 };

const versionOf = (from: string) => spawnSync(path.join(from, "kuma-cp"), ["version"], { encoding: "utf8" }).stdout;
const service = (name: string) => [{ match: { service: name } }];
const write = (collection: string, type: string, name: string, rest: object) =>
  put(stage.cp.api, `/meshes/default/${collection}/${name}`, { type, mesh: "default", name, ...rest });

/** All ports of the running control plane, for the one that takes its place. */
const samePorts = () => ({
  KUMA_API_SERVER_PORT: new URL(stage.cp.api).port,
  KUMA_BOOTSTRAP_SERVER_PORT: new URL(stage.cp.bootstrap).port,
  KUMA_XDS_SERVER_GRPC_PORT: String(stage.cp.xdsPort),
  KUMA_XDS_SERVER_DIAGNOSTICS_PORT: new URL(stage.cp.health).port,
  KUMA_SDS_SERVER_GRPC_PORT: String(stage.cp.sdsPort),
  KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_PORT: new URL(stage.cp.tokens).port,
});

async function replaceControlPlane(from: string): Promise<void> {
  const same = samePorts();
  assert.is(await stage.cp.stop(), 0);
  stage.cp = await startControlPlane({ ...settings, ...same }, undefined, from);
}

interface Overview {
  readonly name: string;
  readonly dataplaneInsight?: {
    readonly subscriptions?: readonly { readonly id: string; readonly disconnectTime?: string }[];
  };
}

/** Waits until each sidecar has a stream to the running control plane, and no other stream counts as open. */
async function allOnline(): Promise<void> {
  await eventually("all sidecars are online", async () => {
    const response = await fetch(`${stage.cp.api}/meshes/default/dataplanes+insights`);
    const { items } = (await response.json()) as { items: readonly Overview[] };
    const online = items
      .filter(({ dataplaneInsight }) => {
        const open = (dataplaneInsight?.subscriptions ?? []).filter(({ disconnectTime }) => !disconnectTime);
        return open.length === 1;
      })
      .map(({ name }) => name);
    return online.sort().join() === [...sidecars.keys()].sort().join();
  });
}

interface Certificates {
  readonly certificates: readonly { readonly cert_chain: readonly { readonly serial_number: string }[] }[];
}

async function serial(sidecar: Sidecar): Promise<string> {
  const { certificates } = JSON.parse(await sidecar.ask("/certs")) as Certificates;
  return (
    certificates.flatMap(({ cert_chain }) => cert_chain).find((cert) => cert.serial_number !== "")?.serial_number ?? ""
  );
}

/** Waits until each sidecar presents another certificate than now: one that the running control plane issued. */
async function renewed(): Promise<void> {
  await Promise.all(
    [...sidecars].map(async ([name, sidecar]) => {
      const before = await serial(sidecar);
      const isNew = async () => {
        const now = await serial(sidecar);
        return now !== "" && now !== before;
      };
      await eventually(`${name} has a certificate of the running control plane`, isNew, 2 * validitySeconds * 1000);
    }),
  );
}

const replacements = [
  "cluster_manager.cluster_modified",
  "cluster_manager.cluster_removed",
  "listener_manager.listener_in_place_updated",
  "listener_manager.listener_modified",
  "listener_manager.listener_removed",
];

/** How often the Envoys that serve from the beginning have put another listener or cluster in the place of one. */
async function replaced(): Promise<Readonly<Record<string, string>>> {
  const filter = encodeURIComponent(`^(${replacements.join("|")})$`);
  const counts = ["redis-1", "redis-2", "backend-1", "web-1"].map(async (name) => {
    const stats = (await sidecars.get(name)?.ask(`/stats?filter=${filter}`)) ?? "";
    assert.is(stats.trim().split("\n").length, replacements.length, stats);
    return [name, stats] as const;
  });
  return Object.fromEntries(await Promise.all(counts));
}

/** Nothing failed since the traffic began, and each flow served connections since `before` was taken. */
async function unharmed(before: ReadonlyMap<string, number>): Promise<void> {
  await eventually("traffic goes on", () =>
    [...before].every(([flow, count]) => (ledger.succeeded.get(flow) ?? 0) > count + 50),
  );
  assert.equal(ledger.violations, []);
  assert.is(traffic.longLived(), 8);
}

const served = () => new Map(ledger.succeeded);

async function join(name: string, from: string, token?: string): Promise<void> {
  sidecars.set(name, await stage.sidecar(name, { from, ...(token === undefined ? {} : { token }) }));
}

/** Applies an instance of a service, which may call redis on the port that is returned. */
async function instance(name: string, service: string, port = 0): Promise<number> {
  const app = await stage.application(name);
  const out = await freePort();
  const status = await stage.apply(name, {
    inbound: [{ interface: `127.0.0.1:${port || (await freePort())}:${app.port}`, tags: { service, instance: name } }],
    outbound: [{ interface: `:${out}`, service: "redis" }],
  });
  assert.is(status, 201);
  return out;
}

/** Removes and restores a permission, and waits until the sidecars that it is about act on it. */
async function changePermission(): Promise<void> {
  assert.is(await stage.remove("/meshes/default/traffic-permissions/web"), 200);
  await denies(ports.backendOut);
  assert.is(await stage.permit("web", ["web"], ["backend"]), 201);
  await reaches(ports.backendOut, "backend-1");
}

test.before(async () => {
  previous = await previousRelease();
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
    KUMA_CA_BUILTIN_WORKLOAD_CERT_VALIDITY: `${validitySeconds}s`,
  };
  stage = await openMeshStage(settings, previous);
  const backendApp = await stage.application("backend-1");
  assert.is(
    await put(stage.cp.api, "/meshes/default", {
      type: "Mesh",
      name: "default",
      mtls: { enabled: true, ca: { builtin: {} } },
      logging: {
        defaultBackend: "file",
        backends: [{ name: "file", file: { path: path.join(stage.temporary, "log") } }],
      },
    }),
    200,
  );
  for (const name of ["redis", "cache", "queue"]) await stage.permit(name, ["*"], [name]);
  await stage.permit("web", ["web"], ["backend"]);
  const both = { sources: service("*"), destinations: service("redis") };
  await write("traffic-logs", "TrafficLog", "redis", both);
  await write("health-checks", "HealthCheck", "redis", {
    ...both,
    conf: { passiveChecks: { unhealthyThreshold: 1, penaltyInterval: "2s" } },
  });
  await instance("redis-1", "redis", ports.redis1);
  await instance("redis-2", "redis", ports.redis2);
  await stage.apply("backend-1", {
    inbound: [{ interface: `127.0.0.1:${ports.backend}:${backendApp.port}`, tags: { service: "backend" } }],
    outbound: [{ interface: `:${ports.out}`, service: "redis" }],
  });
  await stage.apply("web-1", {
    inbound: [{ interface: `127.0.0.1:${ports.web}:${backendApp.port}`, tags: { service: "web" } }],
    outbound: [
      { interface: `:${ports.webOut}`, service: "redis" },
      { interface: `:${ports.backendOut}`, service: "backend" },
      { interface: `:${ports.cacheOut}`, service: "cache" },
      { interface: `:${ports.queueOut}`, service: "queue" },
    ],
  });
  for (const name of ["redis-1", "redis-2", "backend-1", "web-1"]) await join(name, previous);
  oldToken = await stage.token("cache-1");
  for (const port of [ports.out, ports.webOut]) {
    for (const name of ["redis-1", "redis-2"]) await reaches(port, name);
  }
  await reaches(ports.backendOut, "backend-1");
  await allOnline();
  const flow = (client: string, port: number): Flow => ({
    client,
    service: "redis",
    port,
    perSecond: 25,
    longLived: 4,
    serves: (instance) => instance.startsWith("redis-"),
  });
  traffic = startTraffic([flow("backend-1", ports.out), flow("web-1", ports.webOut)], ledger.record);
  await eventually("long-lived connections are open", () => traffic.longLived() === 8);
});

test.after(async () => {
  await traffic?.stop();
  await stage?.close();
  await server?.close();
  const [all] = ledger.rows();
  console.log(`${all?.made ?? 0} connections, ${all?.denied ?? 0} failed, longest gap ${all?.gapMs.toFixed(0)} ms`);
});

test("the new kuma-cp takes over store, ports, tokens and sidecars, and no connection fails", async () => {
  const before = served();
  const counts = await replaced();
  await replaceControlPlane(bin);
  await allOnline();
  await renewed();
  assert.equal(await replaced(), counts, "old Envoys keep the listeners and clusters that they have");
  await unharmed(before);
});

test("a new kuma-dp joins with a token of the old kuma-cp, and connects with old ones in both directions", async () => {
  const before = served();
  const out = await instance("cache-1", "cache");
  await join("cache-1", bin, oldToken);
  await reaches(ports.cacheOut, "cache-1");
  await reaches(out, "redis-1");
  await allOnline();
  await unharmed(before);
});

test("policies of the new kuma-cp reach old sidecars", async () => {
  const before = served();
  await changePermission();
  const conf = [{ weight: 1, destination: { service: "redis", instance: "redis-2" } }];
  const route = { sources: service("cache"), destinations: service("redis"), conf };
  assert.is(await write("traffic-routes", "TrafficRoute", "cache", route), 201);
  await unharmed(before);
});

test("an old kuma-dp joins the new kuma-cp", async () => {
  const before = served();
  const out = await instance("queue-1", "queue");
  await join("queue-1", previous);
  await reaches(ports.queueOut, "queue-1");
  await reaches(out, "redis-1");
  await allOnline();
  await unharmed(before);
});

test("the old kuma-cp takes over the store that the new one wrote to, and no connection fails", async () => {
  const before = served();
  const token = await stage.token("cache-2");
  const counts = await replaced();
  await replaceControlPlane(previous);
  await allOnline();
  await renewed();
  assert.equal(await replaced(), counts);
  await changePermission();
  // A token and a route of the new one stay in force.
  const out = await instance("cache-2", "cache");
  await join("cache-2", previous, token);
  await reaches(out, "redis-2");
  for (let index = 0; index < 10; index++) assert.is(await greeting(out), "redis-2");
  // A new kuma-dp may have to start again before it gives way to an old one.
  await sidecars.get("cache-1")?.stop();
  await join("cache-1", bin, oldToken);
  await reaches(ports.cacheOut, "cache-1");
  await allOnline();
  await unharmed(before);
});

test("the programs of both releases are different builds", () => {
  assert.is.not(previous, bin);
  assert.match(versionOf(previous), pin.version);
});

test.run();
