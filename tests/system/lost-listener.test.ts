import { once } from "node:events";
import net from "node:net";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { type ControlPlane, put, startControlPlane } from "../support/executable.js";
import { openCheck } from "../support/kumactl-check.js";
import {
  type Application,
  greeting,
  type MeshStage,
  openMeshStage,
  reaches,
  type Sidecar,
} from "../support/mesh-stage.js";
import { freePort, occupy } from "../support/ports.js";
import { suite } from "../support/suite.js";

const test = suite("a listener that Envoy acknowledges and then can't listen on", { needs: "envoy" });

let stage: MeshStage;
const check = openCheck();

test.before(async () => {
  stage = await openMeshStage();
});
test.after(async () => {
  await stage.close();
  check.close();
});

const refusals = () => stage.kumactl("inspect", "dataplanes").stderr;

interface ListenersDump {
  readonly configs?: readonly {
    readonly name: string;
    readonly warming_state?: object;
    readonly active_state?: object;
  }[];
}

/** How a listener of a sidecar's Envoy stands. */
async function stateIn(sidecar: Sidecar, name: string): Promise<"none" | "warming" | "active"> {
  const dump = await sidecar.ask("/config_dump?resource=dynamic_listeners");
  const listener = (JSON.parse(dump) as ListenersDump).configs?.find((one) => one.name === name);
  if (listener?.active_state !== undefined) return "active";
  return listener?.warming_state === undefined ? "none" : "warming";
}

const httpListener = (name: string, port: number) => `
"@type": type.googleapis.com/envoy.config.listener.v3.Listener
name: ${name}
address: {socketAddress: {address: 127.0.0.1, portValue: ${port}}}
filterChains:
- filters:
  - name: envoy.filters.network.http_connection_manager
    typedConfig:
      "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      statPrefix: ${name}
      rds: {routeConfigName: ${name}, configSource: {ads: {}, resourceApiVersion: V3, initialFetchTimeout: 0s}}
      httpFilters:
      - name: envoy.filters.http.router
        typedConfig: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
`;

const routes = (name: string) => `
"@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
name: ${name}
virtualHosts:
- name: all
  domains: ["*"]
  routes: [{match: {prefix: /}, directResponse: {status: 200, body: {inlineString: ${name}}}}]
`;

/** Adds raw resources to what the sidecars of a service get. */
const template = (service: string, ...resources: readonly string[]) =>
  put(stage.cp.api, `/meshes/default/proxytemplates/${service}`, {
    type: "ProxyTemplate",
    mesh: "default",
    name: service,
    selectors: [{ match: { service } }],
    conf: {
      imports: ["default-proxy"],
      resources: resources.map((resource, index) => ({ name: `r${index}`, version: "1", resource })),
    },
  });

const page = async (port: number) => (await fetch(`http://127.0.0.1:${port}/`)).text();

/** The settings by which another control plane has the ports of this one. */
const samePorts = (cp: ControlPlane) => ({
  KUMA_API_SERVER_PORT: new URL(cp.api).port,
  KUMA_BOOTSTRAP_SERVER_PORT: new URL(cp.bootstrap).port,
  KUMA_XDS_SERVER_GRPC_PORT: String(cp.xdsPort),
  KUMA_SDS_SERVER_GRPC_PORT: String(cp.sdsPort),
});

/** A connection to an application of the stage that has been greeted. */
async function openConnection(port: number) {
  const socket = net.connect(port, "127.0.0.1");
  const next = () => once(socket, "data").then(([chunk]) => String(chunk));
  await next();
  return {
    echo(text: string) {
      socket.write(text);
      return next();
    },
    end: () => socket.destroy(),
  };
}

test("a port that is taken while its listener warms is reported with the reason, and served once it is free", async () => {
  const app = await stage.application("first");
  const [port, inbound] = [await freePort(), await freePort()];
  await stage.apply("first-1", {
    inbound: [{ interface: `127.0.0.1:${inbound}:${app.port}`, tags: { service: "first" } }],
  });
  // It warms up for as long as it has no routes: bound, and not listened on.
  assert.is(await template("first", httpListener("late", port)), 201);
  const sidecar = await stage.sidecar("first-1", { token: "", env: { KUMA_DATAPLANE_STATUS_INTERVAL: "1s" } });
  await reaches(inbound, "first");
  await eventually("it warms up", async () => (await stateIn(sidecar, "late")) === "warming");
  assert.is(refusals(), "");

  const free = await occupy(port);
  assert.is(await template("first", httpListener("late", port), routes("late")), 200);
  await eventually("Envoy has lost it", async () => (await stateIn(sidecar, "late")) === "none");

  // At first that Envoy can't listen; after the first attempt to send it again in Envoy's own words, that it can't bind.
  const words = /^Envoy of "first-1" refuses LDS resource "late": .*cannot (listen|bind)/;
  await eventually("inspect dataplanes names it", () => words.test(refusals()));
  await eventually("kuma-dp names it", () => /lost listeners that it had acknowledged: late\./.test(sidecar.output()));
  assert.match(stage.cp.output(), /proxy lost listeners that it had acknowledged.*"listeners":\["late"\]/);
  const xds = stage.kumactl("inspect", "dataplane", "first-1", "--config-dump");
  assert.match(xds.stderr, /late.*cannot (listen|bind)/s);
  const finding = await check.until(stage.cp.api, "configuration", "error");
  assert.match(finding.reason ?? "", /first-1.*late.*cannot (listen|bind)/s);
  assert.match(
    await (await fetch(`${stage.cp.health}/metrics`)).text(),
    /^listener_reports\{result="missing"\} [1-9]/m,
  );
  for (let index = 0; index < 5; index++) assert.is(await greeting(inbound), "first");

  await free();
  await eventually("it is served", async () => (await page(port)) === "late");
  await eventually("the message goes", () => refusals() === "");
  await check.until(stage.cp.api, "configuration", "success");
});

test("a restarted control plane finds it again, although Envoy claims to have it", async () => {
  const app = await stage.application("second");
  const [port, inbound] = [await freePort(), await freePort()];
  const resources = async () => {
    await stage.apply("second-1", {
      inbound: [{ interface: `127.0.0.1:${inbound}:${app.port}`, tags: { service: "second" } }],
    });
    await template("second", httpListener("late", port), routes("late"));
  };
  await stage.apply("second-1", {
    inbound: [{ interface: `127.0.0.1:${inbound}:${app.port}`, tags: { service: "second" } }],
  });
  await template("second", httpListener("late", port));
  const sidecar = await stage.sidecar("second-1", { token: "", env: { KUMA_DATAPLANE_STATUS_INTERVAL: "1s" } });
  await reaches(inbound, "second");
  await eventually("it warms up", async () => (await stateIn(sidecar, "late")) === "warming");
  const free = await occupy(port);
  await resources();
  await eventually("the loss is shown", () => /"second-1" refuses LDS resource "late"/.test(refusals()));

  const ports = samePorts(stage.cp);
  await stage.cp.kill();
  stage.cp = await startControlPlane(ports);
  await resources();
  await eventually("the loss is shown again", () => /"second-1" refuses LDS resource "late"/.test(refusals()));
  await free();
  await eventually("it is served", async () => (await page(port)) === "late");
  await eventually("the message goes", () => refusals() === "");
});

/**
 * A sidecar without a token whose second inbound can't be listened on: when mTLS goes on, its listeners wait for the
 * certificate for half a second. On a busy machine the port may be taken too late, and then the next sidecar is tried.
 */
async function deprived(app: Application) {
  for (let attempt = 1; attempt <= 5; attempt++) {
    const dataplane = `third-${attempt}`;
    const [first, second] = [await freePort(), await freePort()];
    const inbound = (port: number) => ({ interface: `127.0.0.1:${port}:${app.port}`, tags: { service: "third" } });
    const listener = `inbound:127.0.0.1:${second}`;
    await stage.apply(dataplane, { inbound: [inbound(first)] });
    const sidecar = await stage.sidecar(dataplane, { token: "" });
    await reaches(first, "third");
    await stage.mtls(true);
    await stage.apply(dataplane, { inbound: [inbound(first), inbound(second)] });
    await eventually("it is bound", async () => (await stateIn(sidecar, listener)) !== "none");
    const free = await occupy(second).catch(() => undefined);
    await eventually("it has warmed up", async () => (await stateIn(sidecar, listener)) !== "warming");
    if (free !== undefined && (await stateIn(sidecar, listener)) === "none") {
      return { dataplane, sidecar, listener, port: second, free };
    }
    await free?.();
    await sidecar.stop();
    await stage.mtls(false);
  }
  throw new Error("no port could be taken while its listener warmed up");
}

test("an inbound whose port is taken while it waits for its certificate is reported by inspect and check", async () => {
  const { dataplane, sidecar, listener, port, free } = await deprived(await stage.application("third"));
  const named = new RegExp(`"${dataplane}" refuses LDS resource "${listener}": .*cannot (listen|bind)`);
  await eventually("inspect dataplanes names it", () => named.test(refusals()));
  const finding = await check.until(stage.cp.api, "configuration", "error");
  assert.match(finding.reason ?? "", new RegExp(`${dataplane}.*"${listener}": .*cannot (listen|bind)`));
  const diff = stage.kumactl("inspect", "dataplane", dataplane, "--diff");
  assert.match(`${diff.stdout}${diff.stderr}`, /cannot (listen|bind)/);

  await free();
  await eventually("Envoy listens", async () => (await stateIn(sidecar, listener)) === "active");
  await eventually("the message goes", () => refusals() === "");
  assert.is(await stage.mtls(false), 200);
  await reaches(port, "third");
});

test("reports of a stranger only make a sidecar get the same listeners again, and leave no trace", async () => {
  const app = await stage.application("fourth");
  const inbound = await freePort();
  await stage.apply("fourth-1", {
    inbound: [{ interface: `127.0.0.1:${inbound}:${app.port}`, tags: { service: "fourth" } }],
  });
  await stage.sidecar("fourth-1", { token: "" });
  await reaches(inbound, "fourth");
  await stage.settled("fourth-1");
  const report = async (body: unknown) => {
    const method = "POST";
    const response = await fetch(`${stage.cp.bootstrap}/dataplane-status`, { method, body: JSON.stringify(body) });
    const answer = (await response.json()) as { readonly connected?: boolean; readonly missing?: readonly string[] };
    return { status: response.status, ...answer };
  };
  const lie = { mesh: "default", name: "fourth-1", listeners: [] };
  const socket = await openConnection(inbound);
  const first = await report(lie);
  assert.equal([first.status, first.missing], [200, [`inbound:127.0.0.1:${inbound}`]]);
  for (let index = 0; index < 200; index++) await report(lie);
  assert.equal(await report({ ...lie, name: "ghost" }), { status: 200, connected: false });
  assert.is((await report({ ...lie, listeners: ["x".repeat(2 * 1024 * 1024)] })).status, 413);
  assert.is((await report({ ...lie, listeners: 5 })).status, 400);
  await eventually("Envoy has acknowledged it again", () => refusals() === "");
  assert.is(await socket.echo("still here\n"), "still here\n");
  socket.end();
  for (let index = 0; index < 5; index++) assert.is(await greeting(inbound), "fourth");
});

test.run();
