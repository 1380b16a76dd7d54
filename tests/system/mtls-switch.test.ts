import net from "node:net";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { type Application, type MeshStage, openMeshStage, reaches, type Sidecar } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";

const test = suite("switching mTLS on", { needs: "envoy" });

/** How long plaintext may pass, and how long nothing may pass between sidecars with certificates, counted from the moment a sidecar received the response that says so. */
const boundMs = 1_000;

let stage: MeshStage;
let app: Application;
const sidecars: Record<string, Sidecar> = {};
const ports = { redis: 0, db: 0, backend: 0, web: 0, toRedis: 0, toDb: 0, toLegacy: 0, late: 0, toLate: 0, bare: 0 };
const at = (port: number) => `127.0.0.1:${port}:${app.port}`;

/** Whether a connection brings the application's greeting; who waits for a handshake is sent something that is none. */
function passes(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    let received = "";
    const socket = net.connect(port, "127.0.0.1", () => socket.write("plaintext\n"));
    socket.setTimeout(2_000, () => socket.destroy());
    socket.on("data", (chunk) => {
      received += chunk.toString();
      if (received.startsWith("app\n")) socket.destroy();
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(received.startsWith("app\n")));
  });
}

/** Ends what a failed test left running. */
let over = false;

/** Connects again and again, and remembers when that was and whether it got through. */
function watch(port: number) {
  const passed: number[] = [];
  const failed: number[] = [];
  let stopped = false;
  const stopping = () => stopped || over;
  const running = (async () => {
    while (!stopping()) {
      const begun = Date.now();
      // Both by their begin: a connection that began in time may take its time.
      ((await passes(port)) ? passed : failed).push(begun);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  return {
    passed,
    failed,
    async stop() {
      stopped = true;
      await running;
    },
  };
}

/** When Envoy took the last response with listeners and with clusters, in milliseconds since 1970. */
async function updatedAt(name: string): Promise<number> {
  const text = await sidecars[name]?.ask("/stats?filter=(lds|cds).update_time");
  const times = [...(text ?? "").matchAll(/update_time: (\d+)/g)].map(([, time]) => Number(time));
  assert.is(times.length, 2, text);
  return Math.max(...times);
}

const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test.before(async () => {
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  stage = await openMeshStage();
  app = await stage.application("app");
  // A service without a sidecar takes plaintext from whoever still sends it.
  await stage.apply("legacy-1", { inbound: [{ interface: `127.0.0.1:${app.port}:1`, tags: { service: "legacy" } }] });
  for (const name of ["redis", "db"] as const) {
    await stage.apply(`${name}-1`, { inbound: [{ interface: at(ports[name]), tags: { service: name } }] });
  }
  await stage.apply("backend-1", {
    inbound: [{ interface: at(ports.backend), tags: { service: "backend" } }],
    outbound: [
      { interface: `:${ports.toRedis}`, service: "redis" },
      { interface: `:${ports.toDb}`, service: "db" },
    ],
  });
  await stage.apply("web-1", {
    inbound: [{ interface: at(ports.web), tags: { service: "web" } }],
    outbound: [{ interface: `:${ports.toLegacy}`, service: "legacy" }],
  });
  await stage.permit("everybody", ["*"], ["*"]);
  for (const name of ["db", "backend"]) sidecars[name] = await stage.sidecar(`${name}-1`);
  for (const name of ["redis", "web"]) sidecars[name] = await stage.sidecar(`${name}-1`, { token: "" });
  for (const port of [ports.toRedis, ports.toDb, ports.toLegacy]) await reaches(port, "app");
});

test.after(() => {
  over = true;
  return stage.close();
});

test("a sidecar without a token passes nothing after a second, one with a token rejects connections for a second at most", async () => {
  const inRedis = watch(ports.redis);
  const inDb = watch(ports.db);
  const toRedis = watch(ports.toRedis);
  const toDb = watch(ports.toDb);
  const toLegacy = watch(ports.toLegacy);
  const all = [inRedis, inDb, toRedis, toDb, toLegacy];
  await eventually("all paths are open", () => all.every(({ passed }) => passed.length > 5));
  assert.equal(
    all.map(({ failed }) => failed.length),
    [0, 0, 0, 0, 0],
  );

  const before = Date.now();
  assert.is(await stage.mtls(true), 200);
  await eventually("db is reached over TLS", () => {
    const [last = 0] = toDb.failed.slice(-1);
    const [newest = 0] = toDb.passed.slice(-1);
    return inDb.failed.length > 5 && newest > last && newest > (inDb.failed[5] ?? 0);
  });
  // Long enough to notice remaining plaintext traffic: it once continued for 15 s.
  await later(4_000);
  await Promise.all(all.map((one) => one.stop()));

  const at = Object.fromEntries(
    await Promise.all(["redis", "db", "backend", "web"].map(async (name) => [name, await updatedAt(name)] as const)),
  ) as Record<"redis" | "db" | "backend" | "web", number>;
  for (const time of Object.values(at)) assert.ok(time >= before - 1, "each sidecar was sent the change");
  const beyond = (times: readonly number[], bound: number) => times.filter((time) => time > bound + boundMs).length;
  assert.is(beyond(inRedis.passed, at.redis), 0, "plaintext into the sidecar without a token");
  assert.is(beyond(toRedis.passed, at.redis), 0, "the mesh into the sidecar without a token");
  assert.is(beyond(toLegacy.passed, at.web), 0, "plaintext out of the sidecar without a token");
  assert.is(beyond(inDb.passed, at.db), 0, "plaintext into the sidecar with a token");
  assert.is(beyond(toDb.failed, Math.max(at.db, at.backend)), 0, "failures between two sidecars with tokens");
  assert.ok(toDb.passed.some((time) => time > Math.max(at.db, at.backend) + boundMs));
  assert.ok(toLegacy.failed.length > 0 && inRedis.failed.length > 0);
});

test("explain shows that nothing passes a sidecar without a token, and why", async () => {
  const { stdout } = stage.kumactl("explain", "traffic", "--from", "backend", "--to", "redis");
  assert.match(stdout, /no certificate for redis-1.*it neither opens nor accepts connections/);
  const { stdout: out } = stage.kumactl("explain", "traffic", "--from", "web", "--to", "legacy");
  assert.match(out, /no certificate for .*web-1/);
});

test("sidecars that start while mTLS is on never pass plaintext, with or without a token", async () => {
  await stage.apply("late-1", {
    inbound: [{ interface: at(ports.late), tags: { service: "late" } }],
    outbound: [{ interface: `:${ports.toLate}`, service: "legacy" }],
  });
  await stage.apply("bare-1", { inbound: [{ interface: at(ports.bare), tags: { service: "bare" } }] });
  const paths = [ports.late, ports.toLate, ports.bare].map(watch);
  const [late, bare] = [await stage.sidecar("late-1", { token: "" }), await stage.sidecar("bare-1")];
  for (const sidecar of [late, bare]) {
    await eventually("its listeners are there", async () =>
      (await sidecar.ask("/stats?filter=listener_manager.total_listeners_active").catch(() => "")).match(/: [12]$/m),
    );
  }
  const tried = paths.map(({ failed }) => failed.length);
  await eventually("all were tried again", () =>
    paths.every(({ failed }, index) => failed.length > (tried[index] ?? 0) + 20),
  );
  await Promise.all(paths.map((one) => one.stop()));
  assert.equal(
    paths.map(({ passed }) => passed.length),
    [0, 0, 0],
  );
});

test("a token that is added later opens the sidecar without a restart of Envoy", async () => {
  const token = await stage.token("redis-1");
  const redis = sidecars.redis;
  if (redis === undefined) throw new Error("there is no redis");
  await redis.stop();
  sidecars.redis = await stage.sidecar("redis-1", { token });
  await reaches(ports.toRedis, "app");
});

test("a control plane that goes away and comes back breaks no connection between sidecars with certificates", async () => {
  const toDb = watch(ports.toDb);
  const { cp } = stage;
  await eventually("connections pass", () => toDb.passed.length > 5);
  await cp.stop();
  await eventually("connections pass without a control plane", () => toDb.passed.length > 100);
  await toDb.stop();
  assert.equal(toDb.failed, []);
});

test.run();
