import * as assert from "uvu/assert";
import type { ConfigDiff } from "../../src/cp/explain/diagnosis.js";
import type { TrafficExplanation } from "../../src/policy/explain/explanation.js";
import { eventually } from "../support/eventually.js";
import { type ControlPlane, put, startControlPlane } from "../support/executable.js";
import { denies, greeting, type MeshStage, openMeshStage, reaches } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { type PostgresServer, startPostgres } from "../support/postgres.js";
import { suite } from "../support/suite.js";

const test = suite("explain with two control planes", { needs: ["envoy", "postgres"] });

let server: PostgresServer;
let stage: MeshStage;
let other: ControlPlane;
const ports = { redis: 0, web: 0, out: 0 };

test.before(async () => {
  server = await startPostgres();
  const { host, port, user, password, database } = await server.createDatabase();
  const env = {
    KUMA_STORE_TYPE: "postgres",
    KUMA_STORE_POSTGRES_HOST: host,
    KUMA_STORE_POSTGRES_PORT: String(port),
    KUMA_STORE_POSTGRES_USER: user,
    KUMA_STORE_POSTGRES_PASSWORD: password,
    KUMA_STORE_POSTGRES_DB_NAME: database,
    KUMA_XDS_SERVER_DATAPLANE_STATUS_FLUSH_INTERVAL: "100ms",
  };
  stage = await openMeshStage(env);
  other = await startControlPlane(env);
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
});

test.after(async () => {
  await other.stop();
  await stage.close();
  await server.close();
});

const get = async <T>(cp: ControlPlane, target: string): Promise<T> =>
  (await (await fetch(`${cp.api}/meshes/default/${target}`)).json()) as T;

test("each knows its own proxies by their streams, and the other's by their insights", async () => {
  const app = await stage.application("redis-1");
  await stage.mtls(true);
  await stage.apply("redis-1", {
    inbound: [{ interface: `127.0.0.1:${ports.redis}:${app.port}`, tags: { service: "redis" } }],
  });
  await stage.apply("web-1", {
    inbound: [{ interface: `127.0.0.1:${ports.web}:1`, tags: { service: "web" } }],
    outbound: [{ interface: `:${ports.out}`, service: "redis" }],
  });
  await stage.sidecar("web-1");
  await stage.sidecar("redis-1", { env: { KUMA_CONTROL_PLANE_BOOTSTRAP_SERVER_URL: other.bootstrap } });
  const { bootstrap } = stage.cp;
  assert.is.not(bootstrap, other.bootstrap);
  await denies(ports.out);
  await eventually("the other knows", async () => {
    const { verdict } = await get<TrafficExplanation>(other, "explain?from=web&to=redis");
    return verdict === "denied";
  });
  await stage.permit("web-to-redis", ["web"], ["redis"]);
  await reaches(ports.out, "redis-1");

  for (const [cp, source, endpoint] of [
    [stage.cp, "acknowledged", "unknown"],
    [other, "unknown", "acknowledged"],
  ] as const) {
    const found = await eventually("all is well there, too", async () => {
      const explanation = await get<TrafficExplanation>(cp, "explain?from=web&to=redis");
      if (explanation.problems.length > 0) throw new Error(JSON.stringify(explanation.problems));
      return explanation;
    });
    assert.equal([found.verdict, found.connects], ["allowed", "always"]);
    const [from] = found.sources;
    const to = found.routes[0]?.destinations[0]?.endpoints[0];
    assert.equal([from?.outbounds[0]?.listener?.state, to?.listener?.state], [source, endpoint]);
    assert.equal([from?.certificate?.state, to?.certificate?.state], ["live", "live"]);
  }

  const own = await eventually("redis-1 has acknowledged everything", async () => {
    const diff = await get<ConfigDiff>(other, "dataplanes/redis-1/xds?diff=true");
    return diff.settled ? diff : undefined;
  });
  assert.equal([own.streams.length, own.elsewhere], [1, []]);
  const { status, stderr } = stage.kumactl("inspect", "dataplane", "redis-1", "--config-dump");
  assert.is(status, 1);
  assert.match(
    stderr,
    /^Error: Envoy of Dataplane "redis-1" is connected to another control plane \(instance [0-9a-f-]+\)/,
  );
});

test("an application that is down is avoided by sidecars of every control plane, and explained by each", async () => {
  const [port, nobody] = [await freePort(), await freePort()];
  await stage.apply("redis-2", {
    inbound: [{ interface: `127.0.0.1:${port}:${nobody}`, tags: { service: "redis" } }],
  });
  await stage.sidecar("redis-2", { env: { KUMA_CONTROL_PLANE_BOOTSTRAP_SERVER_URL: other.bootstrap } });
  const passiveChecks = { unhealthyThreshold: 1, penaltyInterval: "1s" };
  await put(stage.cp.api, "/meshes/default/health-checks/redis", {
    type: "HealthCheck",
    mesh: "default",
    name: "redis",
    sources: [{ match: { service: "web" } }],
    destinations: [{ match: { service: "redis" } }],
    conf: { passiveChecks },
  });
  for (const cp of [stage.cp, other]) {
    await eventually("each control plane knows", async () => {
      const { problems } = await get<TrafficExplanation>(cp, "explain?from=web&to=redis");
      return problems.some(({ code, dataplanes }) => code === "application-down" && dataplanes?.join() === "redis-2");
    });
  }
  await eventually("nothing is sent there", async () => {
    for (let index = 0; index < 20; index++) if ((await greeting(ports.out)) !== "redis-1") return false;
    return true;
  });
  for (let index = 0; index < 100; index++) assert.is(await greeting(ports.out), "redis-1");
});

test.run();
