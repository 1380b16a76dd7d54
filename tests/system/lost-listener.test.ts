import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { put } from "../support/executable.js";
import { openCheck } from "../support/kumactl-check.js";
import { greeting, type MeshStage, openMeshStage, reaches, type Sidecar } from "../support/mesh-stage.js";
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

test("a port that is taken while its listener warms up is named with the reason, and served once it is free", async () => {
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
  const page = async () => (await fetch(`http://127.0.0.1:${port}/`)).text();
  await eventually("it is served", async () => (await page()) === "late");
  await eventually("the message goes", () => refusals() === "");
  await check.until(stage.cp.api, "configuration", "success");
});

test.run();
