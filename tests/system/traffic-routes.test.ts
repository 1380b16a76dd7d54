import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { put } from "../support/executable.js";
import { denies, greeting, type MeshStage, openMeshStage, reaches, type Sidecar } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";

const test = suite("traffic routes and health checks on real sidecars", { needs: "envoy" });

let stage: MeshStage;
let backend: Sidecar;
const ports = { one: 0, two: 0, backend: 0, out: 0 };

test.before(async () => {
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  stage = await openMeshStage();
  await stage.mtls(true);
  await stage.permit("everybody", ["*"], ["*"]);
  for (const [name, port, version] of [
    ["redis-1", ports.one, "1.0"],
    ["redis-2", ports.two, "2.0"],
  ] as const) {
    const app = await stage.application(name);
    await stage.apply(name, {
      inbound: [{ interface: `127.0.0.1:${port}:${app.port}`, tags: { service: "redis", version } }],
    });
    await stage.sidecar(name);
  }
  await stage.apply("backend-1", {
    inbound: [{ interface: `127.0.0.1:${ports.backend}:1`, tags: { service: "backend" } }],
    outbound: [{ interface: `:${ports.out}`, service: "redis" }],
  });
  backend = await stage.sidecar("backend-1");
  await reaches(ports.out, "redis-1");
  await reaches(ports.out, "redis-2");
});

test.after(() => stage.close());

const service = (name: string) => [{ match: { service: name } }];

const route = (...shares: (readonly [version: string, weight: number])[]) =>
  put(stage.cp.api, "/meshes/default/traffic-routes/split", {
    type: "TrafficRoute",
    mesh: "default",
    name: "split",
    sources: service("backend"),
    destinations: service("redis"),
    conf: shares.map(([version, weight]) => ({ weight, destination: { service: "redis", version } })),
  });

async function count(connections: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let index = 0; index < connections; index++) {
    const name = await greeting(ports.out);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

const clusters = async () =>
  [
    ...new Set(
      (await backend.ask("/clusters"))
        .trim()
        .split("\n")
        .map((line) => line.split("::")[0]),
    ),
  ].filter((name) => name?.startsWith("redis") || name === "nowhere");

test("weights split connections between versions, with mTLS", async () => {
  assert.is(await route(["1.0", 90], ["2.0", 10]), 201);
  await eventually("the clusters are there", async () => (await clusters()).length === 2);
  assert.equal((await clusters()).sort(), ["redis{version=1.0}", "redis{version=2.0}"]);
  const { "redis-1": first = 0, "redis-2": second = 0 } = await count(1_000);
  assert.is(first + second, 1_000);
  assert.ok(second >= 50 && second <= 150, `${second} of 1,000 instead of 10 %`);
});

test("a weight of zero gets no connections; all zero closes them after accepting", async () => {
  await route(["1.0", 0], ["2.0", 1]);
  await eventually("only version 2 is left", async () => (await clusters()).join() === "redis{version=2.0}");
  assert.equal(await count(50), { "redis-2": 50 });
  await route(["1.0", 0], ["2.0", 0]);
  await denies(ports.out);
  await eventually("no other cluster is left", async () => (await clusters()).join() === "nowhere");
  assert.is(stage.kumactl("inspect", "dataplanes").stderr, "", "nothing was refused");
  await stage.remove("/meshes/default/traffic-routes/split");
  await reaches(ports.out, "redis-1");
});

test("an endpoint that fails its health check gets no connections, and gets them again when it is healthy", async () => {
  const applied = await put(stage.cp.api, "/meshes/default/health-checks/redis", {
    type: "HealthCheck",
    mesh: "default",
    name: "redis",
    sources: service("backend"),
    destinations: service("redis"),
    conf: {
      activeChecks: { interval: "0.2s", timeout: "5s", unhealthyThreshold: 1, healthyThreshold: 1 },
      passiveChecks: { unhealthyThreshold: 5, penaltyInterval: "1s" },
    },
  });
  assert.is(applied, 201);
  const health = async () =>
    (await backend.ask("/clusters")).match(/redis::127.*health_flags::(\S+)/g)?.join("\n") ?? "";
  await eventually("both are healthy", async () => {
    const stats = await backend.ask("/stats?filter=cluster.redis.(health_check.success|membership_healthy)");
    return /health_check.success: [1-9]/.test(stats) && /membership_healthy: 2/.test(stats);
  });
  // Nobody listens there: whoever connects to redis-3 is refused.
  await stage.apply("redis-3", {
    inbound: [{ interface: `127.0.0.1:${await freePort()}:1`, tags: { service: "redis", version: "3.0" } }],
  });
  await eventually("redis-3 is known and unhealthy", async () => (await health()).includes("failed_active_hc"));
  const counts = await count(60);
  assert.is((counts["redis-1"] ?? 0) + (counts["redis-2"] ?? 0), 60);
  await stage.remove("/meshes/default/dataplanes/redis-3");
  await stage.remove("/meshes/default/health-checks/redis");
});

test("an endpoint that was down at first is healthy as soon as it is up, without any traffic", async () => {
  const port = await freePort();
  await put(stage.cp.api, "/meshes/default/health-checks/late", {
    type: "HealthCheck",
    mesh: "default",
    name: "late",
    sources: service("backend"),
    destinations: service("late"),
    conf: { activeChecks: { interval: "0.2s", timeout: "5s", unhealthyThreshold: 1, healthyThreshold: 1 } },
  });
  await stage.apply("late-1", { inbound: [{ interface: `127.0.0.1:${port}:1`, tags: { service: "late" } }] });
  await stage.apply("backend-1", {
    inbound: [{ interface: `127.0.0.1:${ports.backend}:1`, tags: { service: "backend" } }],
    outbound: [{ interface: `:${await freePort()}`, service: "late" }],
  });
  const health = async () => (await backend.ask("/clusters")).match(/late::127.*health_flags::(\S+)/)?.[1];
  await eventually("it is known and unhealthy", async () => (await health())?.includes("failed_active_hc"));
  await stage.sidecar("late-1");
  // Envoy's own pause without traffic is a minute, which is longer than this waits.
  await eventually("it is well", async () => (await health()) === "healthy", 45_000);
});

test.run();
