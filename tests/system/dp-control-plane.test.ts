import { execFile } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { load } from "js-yaml";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { anyPorts } from "../support/executable.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";
import { alive, configDirs, envoyBinary, envoyOf, onStage, type Run, type Stage } from "./dp-stage.js";

const test = suite("kuma-dp and a real kuma-cp", { needs: "envoy" });

interface ControlPlane {
  readonly api: string;
  readonly bootstrap: string;
}

const startControlPlane = async (stage: Stage): Promise<ControlPlane> => (await startLoggedControlPlane(stage)).cp;

async function startLoggedControlPlane(stage: Stage, env: Record<string, string> = {}) {
  const kumaCp = stage.start("kuma-cp", ["run"], { ...anyPorts, ...env });
  const cp = await eventually("the ports of kuma-cp", () => {
    const text = kumaCp.output();
    const url = (title: string) => new RegExp(`^ +${title} +http://localhost:(\\d+)$`, "m").exec(text)?.[1];
    const [api, bootstrap] = [url("HTTP API"), url("bootstrap")];
    if (api === undefined || bootstrap === undefined) throw new Error(text);
    return { api: `http://127.0.0.1:${api}`, bootstrap: `http://127.0.0.1:${bootstrap}` };
  });
  return { cp, run: kumaCp, output: kumaCp.output };
}

interface Service {
  readonly name: string;
  readonly service: string;
  /** Where the sidecar listens for the service, and where the service itself is. */
  readonly inbound: number;
  readonly application: number;
  readonly outbound?: { readonly port: number; readonly service: string };
}

async function apply(cp: ControlPlane, { name, service, inbound, application, outbound }: Service): Promise<void> {
  const networking = {
    inbound: [{ interface: `127.0.0.1:${inbound}:${application}`, tags: { service } }],
    ...(outbound === undefined ? {} : { outbound: [{ interface: `:${outbound.port}`, service: outbound.service }] }),
  };
  const response = await fetch(`${cp.api}/meshes/default/dataplanes/${name}`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ type: "Dataplane", mesh: "default", name, networking }),
  });
  assert.ok(response.ok, `${response.status}: ${await response.text()}`);
}

function askBootstrap(cp: ControlPlane, body: string): Promise<Response> {
  return fetch(`${cp.bootstrap}/bootstrap`, { method: "POST", body });
}

function runDp(
  stage: Stage,
  cp: ControlPlane,
  name: string,
  args: string[] = [],
  env: Record<string, string> = {},
): Run {
  const flags = ["run", `--name=${name}`, `--cp-address=${cp.bootstrap}`, `--binary-path=${envoyBinary}`];
  return stage.start("kuma-dp", [...flags, ...args], env);
}

/** What comes back through the mesh from an echoing application; waits until the way is open. */
function through(stage: Stage, port: number, line: string): Promise<string> {
  return eventually(`an echo through port ${port}`, async () => {
    const talk = await stage.connect(port);
    try {
      const answer = await talk.say(line);
      if (answer !== line) throw new Error(`got "${answer}"`);
      return answer;
    } finally {
      talk.socket.destroy();
    }
  });
}

async function redis(stage: Stage): Promise<Service> {
  return { name: "redis-1", service: "redis", inbound: await freePort(), application: await stage.echo() };
}

test("a dataplane that was not applied: 404 with a JSON body; kuma-dp exits with the hint and leaves nothing", () =>
  onStage(async (stage) => {
    const cp = await startControlPlane(stage);
    const answer = await askBootstrap(cp, JSON.stringify({ mesh: "default", name: "redis-1" }));
    assert.is(answer.status, 404);
    assert.match(await answer.text(), /"title": ?"Could not find a Dataplane"/);
    const kumaDp = runDp(stage, cp, "redis-1");
    assert.is((await kumaDp.ended).code, 1);
    assert.match(kumaDp.output(), "status: 404. Did you first apply a Dataplane resource?");
    assert.equal(configDirs(stage.temporary), []);
  }));

test("after applying it the bootstrap is one that Envoy accepts, without an admin port", () =>
  onStage(async (stage) => {
    const cp = await startControlPlane(stage);
    await apply(cp, await redis(stage));
    const answer = await askBootstrap(cp, JSON.stringify({ mesh: "default", name: "redis-1" }));
    assert.is(answer.status, 200);
    assert.match(answer.headers.get("content-type") ?? "", /^text\/x-yaml/);
    const text = await answer.text();
    const document = load(text) as {
      node: { id: string; cluster: string; metadata?: Record<string, unknown> };
      admin?: unknown;
      dynamicResources: { adsConfig: { apiType: string } };
    };
    assert.equal([document.node.id, document.node.cluster], ["default.redis-1", "redis"]);
    assert.is(document.dynamicResources.adsConfig.apiType, "DELTA_GRPC");
    assert.is(document.admin, undefined);
    assert.is(document.node.metadata?.dataplaneTokenPath, undefined);
    const file = path.join(stage.temporary, "bootstrap.yaml");
    writeFileSync(file, text);
    await promisify(execFile)(envoyBinary, ["--mode", "validate", "-c", file]);
  }));

test("a token's path appears in the node's metadata", () =>
  onStage(async (stage) => {
    const cp = await startControlPlane(stage);
    await apply(cp, await redis(stage));
    const body = JSON.stringify({ mesh: "default", name: "redis-1", dataplaneTokenPath: "token" });
    const document = load(await (await askBootstrap(cp, body)).text()) as {
      node: { metadata: Record<string, unknown> };
    };
    assert.is(document.node.metadata.dataplaneTokenPath, "token");
  }));

test("a requested admin port is opened", () =>
  onStage(async (stage) => {
    const cp = await startControlPlane(stage);
    await apply(cp, await redis(stage));
    const port = await freePort();
    const kumaDp = runDp(stage, cp, "redis-1", [], { KUMA_DATAPLANE_ADMIN_PORT: String(port) });
    await eventually("Envoy to be live", async () => {
      const response = await fetch(`http://127.0.0.1:${port}/ready`);
      return response.status === 200 && (await response.text()).includes("LIVE");
    });
    kumaDp.signal("SIGTERM");
    assert.equal(await kumaDp.ended, { code: 0, signal: null });
  }));

test("invalid requests get 400, an unknown mesh 404", () =>
  onStage(async (stage) => {
    const cp = await startControlPlane(stage);
    const status = async (body: string) => (await askBootstrap(cp, body)).status;
    assert.equal(
      [
        await status("{"),
        await status('{"mesh":"default","name":""}'),
        await status('{"mesh":"","name":"a"}'),
        await status('{"mesh":"elsewhere","name":"a"}'),
      ],
      [400, 400, 400, 404],
    );
  }));

test("the API server's address leads to the bootstrap server as well", () =>
  onStage(async (stage) => {
    const cp = await startControlPlane(stage);
    const service = await redis(stage);
    await apply(cp, service);
    const kumaDp = runDp(stage, { ...cp, bootstrap: cp.api }, "redis-1");
    assert.is(await through(stage, service.inbound, "hello"), "hello");
    kumaDp.signal("SIGTERM");
    assert.is((await kumaDp.ended).code, 0);
  }));

test("two dataplanes on one machine: traffic flows through both, and an open connection survives SIGTERM until it is closed", () =>
  onStage(async (stage) => {
    const cp = await startControlPlane(stage);
    const server = await redis(stage);
    const outbound = await freePort();
    const client: Service = {
      name: "backend-1",
      service: "backend",
      inbound: await freePort(),
      application: await stage.echo(),
      outbound: { port: outbound, service: "redis" },
    };
    await apply(cp, server);
    await apply(cp, client);
    const health = await freePort();
    const one = runDp(stage, cp, "redis-1", [`--health-port=${health}`], { KUMA_DATAPLANE_DRAIN_TIME: "10m" });
    const two = runDp(stage, cp, "backend-1");
    assert.is(await through(stage, outbound, "hello"), "hello");

    const talk = await stage.connect(outbound);
    assert.is(await talk.say("before"), "before");
    one.signal("SIGTERM");
    await eventually("the drain", async () => (await fetch(`http://127.0.0.1:${health}/ready`)).status === 503);
    assert.is(await talk.say("while draining"), "while draining");
    talk.socket.end();
    assert.equal(await one.ended, { code: 0, signal: null });
    two.signal("SIGTERM");
    assert.equal(await two.ended, { code: 0, signal: null });
    assert.equal(readdirSync(stage.temporary), []);
  }));

test("restarted after a SIGKILL, one Envoy serves the dataplane's port again", () =>
  onStage(async (stage) => {
    const cp = await startControlPlane(stage);
    const service = await redis(stage);
    await apply(cp, service);
    const killed = runDp(stage, cp, "redis-1");
    assert.is(await through(stage, service.inbound, "hello"), "hello");
    const [directory = ""] = configDirs(stage.temporary);
    const orphan = await envoyOf(directory);
    stage.holds(orphan);
    killed.signal("SIGKILL");
    await killed.ended;
    assert.is(await through(stage, service.inbound, "the orphan serves"), "the orphan serves");
    const again = runDp(stage, cp, "redis-1");
    await eventually("the end of the orphan", () => !alive(orphan));
    assert.is(await through(stage, service.inbound, "its successor serves"), "its successor serves");
    assert.is(configDirs(stage.temporary).length, 1);
    again.signal("SIGTERM");
    assert.is((await again.ended).code, 0);
  }));

test("a kuma-dp of the Kuma project's 0.3 gets a bootstrap that it can't read and says that it is too old; the log and a metric, too", () =>
  onStage(async (stage) => {
    const { cp, output } = await startLoggedControlPlane(stage);
    await apply(cp, await redis(stage));
    // As its HTTP library sends it, which calls itself so.
    const answer = await fetch(`${cp.bootstrap}/bootstrap`, {
      method: "POST",
      headers: { "user-agent": "Go-http-client/1.1", "content-type": "application/json" },
      body: JSON.stringify({ mesh: "default", name: "redis-1", dataplaneTokenPath: "/tmp/token" }),
    });
    assert.is(answer.status, 200);
    const text = await answer.text();
    assert.match(text, "this kuma-dp is too old: its Envoy supports xDS v2");
    assert.match(output(), /a kuma-dp is too old: .*"mesh":"default","name":"redis-1"/);
    const health = /health +http:\/\/localhost:(\d+)/.exec(output())?.[1];
    const metrics = await (await fetch(`http://127.0.0.1:${health}/metrics`)).text();
    assert.match(metrics, /^http_requests_refused\{reason="old"\} 1$/m);
    // Should it reach an Envoy, that prints the sentence as well.
    const file = path.join(stage.temporary, "bootstrap.yaml");
    writeFileSync(file, text);
    const validate = promisify(execFile)(envoyBinary, ["--mode", "validate", "-c", file]);
    assert.match(await validate.then(() => "it was accepted", String), "this kuma-dp is too old");
  }));

test("a Dataplane that is deleted while its kuma-dp runs: kuma-dp, kuma-cp's log and check say so, until it is back", () =>
  onStage(async (stage) => {
    const { cp, output } = await startLoggedControlPlane(stage);
    const service = await redis(stage);
    await apply(cp, service);
    const kumaDp = runDp(stage, cp, "redis-1", ["--log-level=info"], { KUMA_DATAPLANE_STATUS_INTERVAL: "300ms" });
    assert.is(await through(stage, service.inbound, "hello"), "hello");
    const check = async () => {
      const config = path.join(stage.temporary, "kumactl.yaml");
      writeFileSync(config, "{}\n");
      const kumactl = (...args: string[]) => stage.start("kumactl", ["--config-file", config, ...args]);
      await kumactl("config", "control-planes", "add", "--name=test", `--address=${cp.api}`).ended;
      const run = kumactl("check", "-o", "json");
      const { code } = await run.ended;
      const { categories } = JSON.parse(run.output()) as {
        categories: { checks: { id: string; result: string; reason?: string }[] }[];
      };
      const registered = categories.flatMap(({ checks }) => checks).find(({ id }) => id === "registered");
      return { code, registered };
    };
    const unregistered = async () =>
      (await (await fetch(`${cp.api}/unregistered-proxies`)).json()) as { total: number };
    assert.is((await unregistered()).total, 0);
    assert.is((await check()).registered, undefined);

    await fetch(`${cp.api}/meshes/default/dataplanes/redis-1`, { method: "DELETE" });
    await eventually("kuma-cp's log says so", () =>
      /the Dataplane of a connected proxy is gone: .*"mesh":"default","name":"redis-1"/.test(output()),
    );
    await eventually("kuma-dp says so", () =>
      /^Warning: the control plane has no Dataplane "redis-1" in mesh "default" any more: /m.test(kumaDp.output()),
    );
    const { code, registered } = await check();
    assert.equal([code, registered?.result], [1, "error"]);
    assert.match(registered?.reason ?? "", /^a proxy is connected as "redis-1" in mesh "default", since 20/);

    await apply(cp, service);
    await eventually("kuma-cp's log says that it is back", () => output().includes("exists again"));
    await eventually("kuma-dp says that all is well", () =>
      kumaDp.output().includes("the control plane no longer finds a problem with this dataplane"),
    );
    assert.is(await through(stage, service.inbound, "hello again"), "hello again");
    assert.is((await check()).registered, undefined);
    const warnings = kumaDp.output().match(/^Warning: the control plane has no Dataplane/gm) ?? [];
    assert.is(warnings.length, 1, "it is said once");
  }));

test("a lost memory store: the sidecar keeps serving, and both sides report that its Dataplane is missing", () =>
  onStage(async (stage) => {
    const [apiPort, bootstrapPort, xdsPort] = [await freePort(), await freePort(), await freePort()];
    const fixed = {
      KUMA_API_SERVER_PORT: String(apiPort),
      KUMA_BOOTSTRAP_SERVER_PORT: String(bootstrapPort),
      KUMA_XDS_SERVER_GRPC_PORT: String(xdsPort),
    };
    const first = await startLoggedControlPlane(stage, fixed);
    const service = await redis(stage);
    await apply(first.cp, service);
    const kumaDp = runDp(stage, first.cp, "redis-1", [], { KUMA_DATAPLANE_STATUS_INTERVAL: "300ms" });
    assert.is(await through(stage, service.inbound, "hello"), "hello");
    first.run.signal("SIGTERM");
    await first.run.ended;
    const second = await startLoggedControlPlane(stage, fixed);
    await eventually("kuma-dp says so", () =>
      /^Warning: the control plane has no Dataplane "redis-1"/m.test(kumaDp.output()),
    );
    await eventually(
      "kuma-cp's log says so",
      () => /a proxy is connected whose Dataplane does not exist: it keeps what it had.*redis-1/.test(second.output()),
      40_000,
    );
    assert.is(await through(stage, service.inbound, "still here"), "still here");
  }));

test.run();
