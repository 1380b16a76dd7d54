import * as assert from "uvu/assert";
import { type Application, denies, type MeshStage, openMeshStage, reaches, refusal } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";

const test = suite("mutual TLS between real sidecars", { needs: "envoy" });

let stage: MeshStage;
let redisApp: Application;
const ports = { redis: 0, backend: 0, out: 0 };

test.before(async () => {
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  stage = await openMeshStage();
  redisApp = await stage.application("redis-1");
  await stage.apply("redis-1", {
    inbound: [{ interface: `127.0.0.1:${ports.redis}:${redisApp.port}`, tags: { service: "redis" } }],
  });
  await stage.apply("backend-1", {
    inbound: [{ interface: `127.0.0.1:${ports.backend}:${redisApp.port}`, tags: { service: "backend" } }],
    outbound: [{ interface: `:${ports.out}`, service: "redis" }],
  });
  await stage.sidecar("redis-1");
  await stage.sidecar("backend-1");
  await reaches(ports.out, "redis-1");
});

test.after(() => stage.close());

test("without a permission the handshake fails, and the service sees no connection", async () => {
  assert.is(await stage.mtls(true), 200);
  await denies(ports.out);
  // Sidecars switch independently: until redis's has, its service still sees the client's side of the handshake.
  await denies(ports.redis);
  const before = redisApp.seen();
  for (let index = 0; index < 5; index++) assert.is(await refusal(ports.out), "");
  assert.is(redisApp.seen(), before);
});

test("a permission lets its source pass, within a second or so", async () => {
  assert.is(await stage.permit("backend-to-redis", ["backend"], ["redis"]), 201);
  await reaches(ports.out, "redis-1");
});
test.run();
