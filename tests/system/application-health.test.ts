import net from "node:net";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { put } from "../support/executable.js";
import { greeting, type MeshStage, onlyReaches, openMeshStage, reaches, type Sidecar } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";

const test = suite("applications that are down behind a running sidecar", { needs: "envoy" });

/** An application that can be ended and started again at its port. */
interface Mortal {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** With a name it greets each client by it; without one it accepts and says nothing. */
function mortal(port: number, name?: string): Mortal {
  let server: net.Server | undefined;
  const open = new Set<net.Socket>();
  return {
    start() {
      server = net.createServer((socket) => {
        open.add(socket);
        socket.on("close", () => open.delete(socket));
        socket.on("error", () => socket.destroy());
        if (name !== undefined) socket.write(`${name}\n`);
      });
      return new Promise((resolve) => server?.listen(port, "127.0.0.1", resolve));
    },
    async stop() {
      const closed = new Promise((resolve) => server?.close(resolve));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

let stage: MeshStage;
let web: Sidecar;
let db2: Sidecar;
const ports = { db1: 0, db2: 0, app1: 0, app2: 0, mute: 0, muteApp: 0, web: 0, out: 0, toMute: 0 };
const apps: Record<string, Mortal> = {};
const app = (name: string): Mortal => {
  const found = apps[name];
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
};

const check = {
  activeChecks: { interval: "1s", timeout: "5s", unhealthyThreshold: 1, healthyThreshold: 1 },
};

const healthCheck = (name: string, service: string, conf: object) =>
  put(stage.cp.api, `/meshes/default/health-checks/${name}`, {
    type: "HealthCheck",
    mesh: "default",
    name,
    sources: [{ match: { service: "web" } }],
    destinations: [{ match: { service } }],
    conf,
  });

/** What the client's Envoy holds against an instance. */
async function flags(port: number): Promise<string> {
  const text = await web.ask("/clusters");
  return new RegExp(`^db::127.0.0.1:${port}::health_flags::(.*)$`, "m").exec(text)?.[1] ?? "unknown";
}

interface Explained {
  readonly connects: string;
  readonly problems: readonly { readonly code: string; readonly message: string }[];
}

async function explained(to: string): Promise<Explained> {
  return (await (await fetch(`${stage.cp.api}/meshes/default/explain?from=web&to=${to}`)).json()) as Explained;
}

/** Waits until the explanation says how connections fare, and names these problems and no other. */
async function explains(to: string, connects: string, ...problems: readonly string[]): Promise<void> {
  await eventually(`explain says "${connects}" of ${to}`, async () => {
    const found = await explained(to);
    const messages = found.problems.map(({ code, message }) => `${code}: ${message}`);
    if (found.connects !== connects || messages.join("\n") !== problems.join("\n")) {
      throw new Error(JSON.stringify({ connects: found.connects, messages }));
    }
    return true;
  });
}

async function outcomes(count: number): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (let index = 0; index < count; index++) {
    const name = await greeting(ports.out).catch(() => "failed");
    found[name] = (found[name] ?? 0) + 1;
  }
  return found;
}

test.before(async () => {
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  stage = await openMeshStage();
  apps.db1 = mortal(ports.app1, "db-1");
  apps.db2 = mortal(ports.app2, "db-2");
  apps.mute = mortal(ports.muteApp);
  for (const one of Object.values(apps)) await one.start();
  for (const [name, port, own, service] of [
    ["db-1", ports.db1, ports.app1, "db"],
    ["db-2", ports.db2, ports.app2, "db"],
    ["mute-1", ports.mute, ports.muteApp, "mute"],
  ] as const) {
    await stage.apply(name, { inbound: [{ interface: `127.0.0.1:${port}:${own}`, tags: { service } }] });
  }
  await stage.apply("web-1", {
    inbound: [{ interface: `127.0.0.1:${ports.web}:${ports.app1}`, tags: { service: "web" } }],
    outbound: [
      { interface: `:${ports.out}`, service: "db" },
      { interface: `:${ports.toMute}`, service: "mute" },
    ],
  });
  await stage.permit("everybody", ["*"], ["*"]);
  for (const name of ["db-1", "mute-1"]) await stage.sidecar(name);
  db2 = await stage.sidecar("db-2", { service: true });
  web = await stage.sidecar("web-1");
  await reaches(ports.out, "db-2");
});

test.after(async () => {
  await Promise.all(Object.values(apps).map((one) => one.stop()));
  await stage.close();
});

/** Ends the application of db-2, and starts it again once nothing is sent there any more. */
async function lifeOfAnApplication(): Promise<void> {
  await eventually("both instances are used", async () => {
    const { "db-1": first = 0, "db-2": second = 0 } = await outcomes(10);
    return first > 0 && second > 0 && first + second === 10;
  });
  await app("db2").stop();
  await eventually("the client's sidecar knows", async () => (await flags(ports.db2)).includes("/failed_eds_health"));
  await onlyReaches(ports.out, "db-1");
  assert.equal(await outcomes(200), { "db-1": 200 });
  await explains("db", "sometimes", "application-down: the application of db-2 does not accept connections");
  const { stdout } = await eventually("inspect names it, and nothing else", () => {
    const inspected = stage.kumactl("inspect", "dataplanes");
    const expected = `the application of "db-2" does not accept connections on port ${ports.app2}\n`;
    if (inspected.stderr !== expected) throw new Error(inspected.stderr);
    return inspected;
  });
  assert.match(stdout, /^default +db-2 .*Online/m);
  const checked = stage.kumactl("check");
  assert.match(
    checked.stdout,
    `the application of "db-2" in mesh "default" does not accept connections on port ${ports.app2}\n`,
  );
  assert.is(checked.status, 1);

  await app("db2").start();
  await eventually("db-2 is well again", async () => (await flags(ports.db2)) === "healthy");
  await reaches(ports.out, "db-2");
  const { failed = 0 } = await outcomes(100);
  assert.is(failed, 0);
  await explains("db", "always");
  await eventually("inspect names nothing", () => stage.kumactl("inspect", "dataplanes").stderr === "");
  assert.not.match(stage.kumactl("check").stdout, /every application|does not accept connections/);
}

test("get no connections once they are detected, and get them again when they are back", async () => {
  assert.is(await healthCheck("db", "db", check), 201);
  await lifeOfAnApplication();
});

test("with mTLS on, too", async () => {
  assert.is(await stage.mtls(true), 200);
  await explains("db", "always");
  await lifeOfAnApplication();
});

test("with passive checks only, too", async () => {
  await healthCheck("db", "db", { passiveChecks: { unhealthyThreshold: 1, penaltyInterval: "1s" } });
  await lifeOfAnApplication();
});

test("an application that accepts and stays silent is not down, nor is one that no HealthCheck selects", async () => {
  assert.is(await healthCheck("mute", "mute", check), 201);
  const clusters = () => web.ask("/clusters");
  await eventually("the mute one is checked", async () => /^mute::.*::health_flags::healthy$/m.test(await clusters()));
  await explains("mute", "always");
  assert.is(await stage.remove("/meshes/default/health-checks/mute"), 200);
  // Sidecars still probe it until they have taken in that nothing selects it.
  await stage.settled("web-1", "mute-1");
  await app("mute").stop();
  await explains("mute", "always");
  await app("mute").start();
});

interface Subscription {
  readonly disconnectTime?: string;
}

interface Overview {
  readonly dataplaneInsight: { readonly subscriptions: readonly Subscription[] };
}

/** Reloads the sidecar of db-2, and waits until its Envoy of this epoch is alone. */
async function reload(epoch: number): Promise<void> {
  db2.child.kill("SIGHUP");
  await eventually(`Envoy ${epoch} serves`, async () => {
    const info: { state: string; command_line_options: { restart_epoch: number } } = JSON.parse(
      await db2.ask("/server_info"),
    );
    return info.state === "LIVE" && info.command_line_options.restart_epoch === epoch;
  });
  await eventually("the Envoy before is gone", async () => {
    const response = await fetch(`${stage.cp.api}/meshes/default/dataplanes+insights/db-2`);
    const { dataplaneInsight } = (await response.json()) as Overview;
    return dataplaneInsight.subscriptions.filter(({ disconnectTime }) => disconnectTime === undefined).length === 1;
  });
}

test("a reload, with two reporting Envoys for a while, changes no health state", async () => {
  const from = stage.cp.output().length;
  const changes = () =>
    stage.cp
      .output()
      .slice(from)
      .match(/applications (are down|accept connections again)/g) ?? [];
  await reload(1);
  assert.equal(changes(), []);
  assert.is(await flags(ports.db2), "healthy");
  await app("db2").stop();
  await eventually("the client's sidecar knows", async () => (await flags(ports.db2)).includes("/failed_eds_health"));
  await eventually("kuma-cp says so", () => changes().length > 0);
  await reload(2);
  assert.equal(changes(), ["applications are down"]);
  assert.match(await flags(ports.db2), "/failed_eds_health");
  await app("db2").start();
  await eventually("db-2 is well again", async () => (await flags(ports.db2)) === "healthy");
  await eventually("kuma-cp says so", () => changes().length > 1);
  assert.equal(changes(), ["applications are down", "applications accept connections again"]);
});

test("deleting a HealthCheck drops its results", async () => {
  await app("db2").stop();
  await eventually("the client's sidecar knows", async () => (await flags(ports.db2)).includes("/failed_eds_health"));
  assert.is(await stage.remove("/meshes/default/health-checks/db"), 200);
  await eventually("nothing is held against it", async () => (await flags(ports.db2)) === "healthy");
  await app("db2").start();
});

test("no healthy application was reported as down", async () => {
  const lines = stage.cp.output().split("\n");
  const down = lines.filter((line) => line.includes("applications are down"));
  assert.is(down.length, 5, down.join("\n"));
  assert.ok(down.every((line) => line.includes("db-2")));
});

test.run();
