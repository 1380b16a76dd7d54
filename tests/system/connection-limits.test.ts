import fs from "node:fs";
import net from "node:net";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { greeting, type MeshStage, openMeshStage, reaches, type Sidecar } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";

const test = suite("default connection limits", { needs: "envoy" });

let stage: MeshStage;
let backend: Sidecar;
const ports = { redis: 0, backend: 0, out: 0 };
const open = new Set<net.Socket>();

test.before(async () => {
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  stage = await openMeshStage();
  const app = await stage.application("redis-1");
  await stage.apply("redis-1", {
    inbound: [{ interface: `127.0.0.1:${ports.redis}:${app.port}`, tags: { service: "redis" } }],
  });
  await stage.apply("backend-1", {
    inbound: [{ interface: `127.0.0.1:${ports.backend}:${app.port}`, tags: { service: "backend" } }],
    outbound: [{ interface: `:${ports.out}`, service: "redis" }],
  });
  await stage.sidecar("redis-1");
  backend = await stage.sidecar("backend-1");
  await reaches(ports.out, "redis-1");
});

test.after(() => {
  for (const socket of open) socket.destroy();
  return stage.close();
});

/** Opens a connection, keeps it, and waits for the greeting. */
function hold(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1");
    open.add(socket);
    socket.once("data", (chunk) => resolve(chunk.toString().trim()));
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`closed while ${open.size} were open`)));
  });
}

/** Established connections of this machine in which a port takes part on a side, by the kind of their timer. */
function timers(side: "local" | "remote", port: number): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return fs
    .readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, remote, state]) => state === "01" && (side === "local" ? local : remote)?.endsWith(`:${hex}`))
    .map(([, , , , , timer]) => timer?.split(":")[0] ?? "");
}

test("1,100 connections to a service are open at the same time", async () => {
  for (let count = 0; count < 1_100; count += 100) {
    const greetings = await Promise.all(Array.from({ length: 100 }, () => hold(ports.out)));
    assert.ok(greetings.every((text) => text === "redis-1"));
  }
  assert.is(await greeting(ports.out), "redis-1");
});

test("both ends of an idle connection between sidecars use TCP keepalive", async () => {
  const keepalive = "02";
  await hold(ports.out);
  for (const side of ["local", "remote"] as const) {
    await eventually(`keepalive runs on the ${side} end`, () => {
      const all = timers(side, ports.redis);
      return all.length > 0 && all.every((timer) => timer === keepalive);
    });
  }
});

test("no listener closes an idle connection", async () => {
  const dump = await backend.ask("/config_dump?resource=dynamic_listeners");
  const proxies = dump.match(/filters\.network\.tcp_proxy"/g) ?? [];
  assert.ok(proxies.length > 0);
  assert.is(dump.match(/"idle_timeout": "0s"/g)?.length, proxies.length);
});

test.run();
