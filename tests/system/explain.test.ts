import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import * as assert from "uvu/assert";
import type { ConfigDiff } from "../../src/cp/explain/diagnosis.js";
import type { TrafficExplanation } from "../../src/policy/explain/explanation.js";
import { eventually } from "../support/eventually.js";
import { bin, put } from "../support/executable.js";
import {
  denies,
  greeting,
  type MeshStage,
  openMeshStage,
  reaches,
  refusal,
  type Sidecar,
} from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";

const test = suite("explain agrees with real connections, one situation at a time", { needs: "envoy" });

let stage: MeshStage;
let redis2: Sidecar;
const ports = { redis1: 0, redis2: 0, mysql: 0, web: 0, out: 0, late: 0 };

const get = async <T>(target: string): Promise<T> =>
  (await (await fetch(`${stage.cp.api}/meshes/default/${target}`)).json()) as T;

/** Waits until the proxies have acknowledged all that follows from what was applied. */
const settled = (...names: readonly string[]) =>
  Promise.all(
    names.map((name) =>
      eventually(`${name} has acknowledged everything`, async () => {
        const diff = await get<ConfigDiff>(`dataplanes/${name}/xds?diff=true`);
        if (!diff.settled) throw new Error(JSON.stringify(diff));
        return true;
      }),
    ),
  );

const everybody = ["redis-1", "redis-2", "mysql-1", "web-1"] as const;

const explain = () => get<TrafficExplanation>("explain?from=web&to=redis");
const codes = ({ problems }: TrafficExplanation) => problems.map(({ code }) => code);

/** Runs commands that kumactl prints under "What to type" in a shell, as a user who pastes them. */
function type(block: string): void {
  const home = path.join(stage.temporary, "home");
  if (!fs.existsSync(home)) {
    fs.mkdirSync(path.join(home, ".kumactl"), { recursive: true });
    fs.copyFileSync(path.join(stage.temporary, "kumactl-config"), path.join(home, ".kumactl", "config"));
  }
  const env = { HOME: home, PATH: `${bin}:${process.env.PATH}` };
  const { status, stderr } = spawnSync("sh", ["-c", block], { env, encoding: "utf8" });
  assert.is(status, 0, stderr);
}

/** The block below a comment that begins like this. */
function advised(text: string, comment: string): string {
  const [, blocks = ""] = text.split("\nWhat to type\n");
  const block = blocks.split("\n\n").find((one) => one.trim().startsWith(`# ${comment}`));
  if (block === undefined) throw new Error(`nobody says how to ${comment}: ${text}`);
  return block;
}

function told(): string {
  const { status, stdout, stderr } = stage.kumactl("explain", "traffic", "--from", "web", "--to", "redis");
  assert.is(status, 0, stderr);
  return stdout;
}

test.before(async () => {
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  stage = await openMeshStage({ KUMA_XDS_SERVER_DATAPLANE_STATUS_FLUSH_INTERVAL: "100ms" });
  for (const [name, port, service, version] of [
    ["redis-1", ports.redis1, "redis", "1"],
    ["redis-2", ports.redis2, "redis", "2"],
    ["mysql-1", ports.mysql, "mysql", "1"],
  ] as const) {
    const app = await stage.application(name);
    await stage.apply(name, { inbound: [{ interface: `127.0.0.1:${port}:${app.port}`, tags: { service, version } }] });
    const sidecar = await stage.sidecar(name);
    if (name === "redis-2") redis2 = sidecar;
  }
  await stage.apply("web-1", {
    inbound: [{ interface: `127.0.0.1:${ports.web}:1`, tags: { service: "web" } }],
    outbound: [{ interface: `:${ports.out}`, service: "redis" }],
  });
  await stage.sidecar("web-1");
  await reaches(ports.out, "redis-1");
});

test.after(() => stage.close());

test("without mTLS everything is allowed, and the verdict with mTLS is shown", async () => {
  await settled(...everybody);
  const { mtls, verdict, withMtls, connects, problems } = await explain();
  assert.equal([mtls, verdict, withMtls, connects], [false, "allowed", "denied", "always"]);
  assert.equal(problems, []);
  assert.match(await greeting(ports.out), /^redis-[12]$/);
});

test("denied without a permission; the suggested commands allow it, and then deny it again", async () => {
  await stage.mtls(true);
  await settled(...everybody);
  await denies(ports.out);
  const denied = await explain();
  assert.equal([denied.verdict, denied.connects, codes(denied)], ["denied", "never", ["not-permitted"]]);
  assert.equal(denied.sources[0]?.certificate?.state, "live");
  const text = told();
  assert.match(text, /^web -> redis in mesh default: DENIED\n/);

  type(advised(text, "allow it"));
  await settled(...everybody);
  const allowed = await explain();
  assert.equal([allowed.verdict, allowed.connects, codes(allowed)], ["allowed", "always", []]);
  assert.equal(
    allowed.permissions.map(({ name, rule }) => [name, rule]),
    [["web-to-redis", "rules[0]"]],
  );
  for (const name of ["redis-1", "redis-2"]) await reaches(ports.out, name);
  const days =
    (Date.parse(allowed.sources[0]?.certificate?.state === "live" ? allowed.sources[0].certificate.notAfter : "") -
      Date.now()) /
    86_400_000;
  assert.ok(days > 29 && days <= 30, `${days} days`);

  type(advised(told(), "deny it"));
  await settled(...everybody);
  await denies(ports.out);
  assert.is((await explain()).verdict, "denied");
});

test("allowed to some instances: some connections fail", async () => {
  await stage.permit("v1", ["web"], [{ service: "redis", version: "1" }]);
  await settled(...everybody);
  const partial = await explain();
  assert.equal([partial.verdict, partial.connects], ["partial", "sometimes"]);
  assert.equal(partial.problems[0]?.dataplanes, ["redis-2"]);
  await reaches(ports.out, "redis-1");
  await denies(ports.out);
  await stage.permit("v1", ["web"], ["redis"]);
  await settled(...everybody);
});

const route = (...shares: (readonly [weight: number, destination: Readonly<Record<string, string>>])[]) =>
  put(stage.cp.api, "/meshes/default/traffic-routes/r", {
    type: "TrafficRoute",
    mesh: "default",
    name: "r",
    sources: [{ match: { service: "web" } }],
    destinations: [{ match: { service: "redis" } }],
    conf: shares.map(([weight, destination]) => ({ weight, destination })),
  });

test("a route to another service, to a service without dataplanes, and with zero weights", async () => {
  await route([1, { service: "mysql" }]);
  await settled(...everybody);
  const elsewhere = await explain();
  assert.equal([elsewhere.verdict, codes(elsewhere)], ["denied", ["not-permitted", "elsewhere"]]);
  await denies(ports.out);
  type(advised(told(), "allow it"));
  await settled(...everybody);
  assert.equal([(await explain()).connects, await greeting(ports.out)], ["always", "mysql-1"]);

  await route([1, { service: "redis", version: "3" }]);
  await settled(...everybody);
  assert.equal(codes(await explain()), ["no-endpoint"]);
  await denies(ports.out);

  await route([0, { service: "redis" }]);
  await settled(...everybody);
  const nowhere = await explain();
  assert.equal([nowhere.verdict, nowhere.connects, codes(nowhere)], ["allowed", "never", ["nowhere"]]);
  await denies(ports.out);
  await stage.remove("/meshes/default/traffic-routes/r");
  await settled(...everybody);
});

test("a dataplane without a running sidecar, and one without a token", async () => {
  await redis2.stop();
  await eventually("redis-2 is offline", async () => codes(await explain()).join() === "offline");
  const offline = await explain();
  assert.equal([offline.connects, offline.problems[0]?.dataplanes], ["sometimes", ["redis-2"]]);
  await reaches(ports.out, "redis-1");
  await eventually("it fails at times", async () => (await refusal(ports.out)) === "");

  const tokenless = await stage.sidecar("redis-2", { token: "" });
  await eventually("redis-2 has no certificate", async () => codes(await explain()).includes("certificate-missing"));
  assert.is((await get<ConfigDiff>("dataplanes/redis-2/xds?diff=true")).settled, false);
  await tokenless.stop();
  redis2 = await stage.sidecar("redis-2");
  await settled(...everybody);
  assert.is((await explain()).connects, "always");
});

test("an Envoy that rejects its listener, with its error message and the configuration sent", async () => {
  const app = await stage.application("late");
  const busy = (port: number) =>
    stage.apply("redis-3", {
      inbound: [{ interface: `127.0.0.1:${port}:${app.port}`, tags: { service: "redis", version: "3" } }],
    });
  await busy(ports.redis1);
  await stage.sidecar("redis-3");
  await eventually("the refusal is known", async () => codes(await explain()).includes("refused"));
  const refused = await explain();
  assert.is(refused.connects, "sometimes");
  assert.match(refused.problems.map(({ message }) => message).join(), /Envoy of redis-3 refuses .*cannot bind/);
  const diff = stage.kumactl("inspect", "dataplane", "redis-3", "--diff");
  assert.match(diff.stdout, /^LDS resource "inbound:127.0.0.1:\d+": refused: .*cannot bind/m);
  const dump = stage.kumactl("inspect", "dataplane", "redis-3", "--config-dump");
  assert.match(dump.stderr, /^Envoy refuses LDS resource /);
  const { listeners } = JSON.parse(dump.stdout) as { listeners: { name: string }[] };
  assert.equal(
    listeners.map(({ name }) => name),
    [`inbound:127.0.0.1:${ports.redis1}`],
  );
  await busy(ports.late);
  await settled("redis-3", "web-1");
  assert.equal(codes(await explain()), []);
  await reaches(ports.out, "late");
  assert.is(
    stage.kumactl("inspect", "dataplane", "redis-3", "--diff").stdout,
    'Envoy of Dataplane "redis-3" has acknowledged all of its configuration\n',
  );
});

/** Envoy's own dump has its fields in snake case. */
function inCamelCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inCamelCase);
  if (typeof value !== "object" || value === null) return value;
  const camel = (key: string) =>
    // A map's keys, such as those of gRPC's channel arguments, are no field names.
    key.includes(".") ? key : key.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [camel(key), inCamelCase(member)]));
}

test("the configuration sent is what Envoy has, and contains no key", async () => {
  const { stdout } = stage.kumactl("inspect", "dataplane", "redis-2", "--config-dump");
  const dump = JSON.parse(stdout) as Record<string, { name: string }[]>;
  assert.equal(Object.keys(dump), ["clusters", "listeners"]);
  assert.not.match(stdout, "PRIVATE KEY");
  const { configs } = JSON.parse(await redis2.ask("/config_dump?resource=dynamic_listeners")) as {
    configs: { active_state: { listener: unknown } }[];
  };
  // Envoy leaves out where the token is.
  const sent = JSON.stringify(dump.listeners).replaceAll(/"filename":"[^"]*"/g, '"filename":"[redacted]"');
  assert.equal(
    JSON.parse(sent),
    configs.map(({ active_state }) => inCamelCase(active_state.listener)),
  );
});

test("the policies that affect a dataplane", () => {
  const { stdout } = stage.kumactl("inspect", "dataplane", "redis-1", "--policies");
  assert.match(stdout, /^allowed to connect: web\n/m);
  assert.match(stdout, /^TrafficPermission +v1 rules\[0\] +service=web +service=redis +yes\n/m);
});

test.run();
