import * as assert from "uvu/assert";
import { readWarningHeader } from "../../../src/net/warning-header.js";
import { suite } from "../../support/suite.js";
import { dataplane, type Stage, stage } from "./stage.js";

const test = suite("warnings about what an applied resource disables");

const from = (match: object) => [{ match }];
const mesh = (spec: object = {}, name = "default") => ({ type: "Mesh", name, ...spec });
const mtls = { mtls: { enabled: true } };
const file = (name: string) => ({ name, file: { path: `/tmp/${name}.log` } });
const log = (name: string, ...backends: (string | undefined)[]) => ({
  type: "TrafficLog",
  mesh: "default",
  name,
  rules: backends.map((backend) => ({
    sources: from({ service: "*" }),
    destinations: from({ service: "*" }),
    ...(backend === undefined ? {} : { conf: { backend } }),
  })),
});
const permission = {
  type: "TrafficPermission",
  mesh: "default",
  name: "all",
  rules: [{ sources: from({ service: "*" }), destinations: from({ service: "*" }) }],
};
const route = (...conf: object[]) => ({
  type: "TrafficRoute",
  mesh: "default",
  name: "r",
  sources: from({ service: "*" }),
  destinations: from({ service: "redis" }),
  conf,
});

async function warningsOf(api: Stage, path: string, body: object): Promise<string[]> {
  const { status, headers, text } = await api.put(path, body);
  assert.ok(status === 200 || status === 201, text);
  return readWarningHeader(headers.Warning);
}

test("a Mesh that drops an enabled mtls causes a warning and a line in the log; one that keeps it, or had none, does not", async () => {
  const api = await stage();
  assert.equal(await warningsOf(api, "/meshes/default", mesh()), []);
  await api.put("/meshes/default/traffic-permissions/all", permission);
  assert.equal(await warningsOf(api, "/meshes/default", mesh(mtls)), []);
  assert.equal(await warningsOf(api, "/meshes/default", mesh({ ...mtls, logging: { backends: [file("a")] } })), []);
  const tried = await api.put("/meshes/default?dry-run=true", mesh());
  assert.match(readWarningHeader(tried.headers.Warning)[0] ?? "", /^mTLS is SWITCHED OFF for mesh "default"/);
  assert.equal(api.logged, []);
  for (const spec of [{}, { mtls: { ca: { builtin: {} } } }, { mtls: { enabled: false } }]) {
    await api.put("/meshes/default", mesh(mtls));
    const [warning = "", ...others] = await warningsOf(api, "/meshes/default", mesh(spec));
    assert.match(
      warning,
      /^mTLS is SWITCHED OFF for mesh "default", where it was on: .*unencrypted.*"mtls: \{enabled: true\}"$/,
    );
    assert.equal(others, []);
  }
  assert.match(api.logged.join(""), /\tWARN\t\S+\tmTLS is SWITCHED OFF/);
});

test("enabling mTLS without any permission causes a warning, except for a new mesh", async () => {
  const api = await stage();
  assert.match(
    (await warningsOf(api, "/meshes/default", mesh(mtls)))[0] ?? "",
    /no connection is allowed until one is/,
  );
  assert.equal(await warningsOf(api, "/meshes/m2", mesh(mtls, "m2")), []);
});

test("logging backends that are removed while TrafficLogs use them, by name or as the default, are named", async () => {
  const api = await stage();
  const logging = { defaultBackend: "a", backends: [file("a"), file("b"), file("c")] };
  await api.put("/meshes/default", mesh({ logging }));
  for (const one of [log("t1", undefined), log("t2", "b", "b"), log("t3", "nowhere")]) {
    await api.put(`/meshes/default/traffic-logs/${one.name}`, one);
  }
  const fewer = { ...logging, backends: [file("a"), file("b")] };
  assert.equal(await warningsOf(api, "/meshes/default", mesh({ logging: fewer })), []);
  assert.equal(await warningsOf(api, "/meshes/default", mesh({ logging: { backends: fewer.backends } })), [
    'the logs of TrafficLog "t1" are no longer sent to backend "a": the mesh no longer has it, or not as its default',
  ]);
  await api.put("/meshes/default", mesh({ logging }));
  const [warning = ""] = await warningsOf(api, "/meshes/default", mesh());
  assert.match(warning, /^the logs of TrafficLog "t1" and "t2" are no longer sent to backend "a" and "b": the mesh/);
});

test("a TrafficLog without a backend causes a warning", async () => {
  const api = await stage();
  await api.put("/meshes/default", mesh({ logging: { backends: [file("a")] } }));
  assert.equal(await warningsOf(api, "/meshes/default/traffic-logs/t", log("t", "a")), []);
  const [none = "", unknown = ""] = await warningsOf(
    api,
    "/meshes/default/traffic-logs/t",
    log("t", undefined, "b", "a"),
  );
  assert.match(none, /names no backend, and mesh "default" has no "logging.defaultBackend"/);
  assert.match(unknown, /has no logging backend "b"/);
});

test("a TrafficRoute to destinations without dataplanes names them, and the share of connections", async () => {
  const api = await stage();
  const to = (weight: number, tags: object) => ({ weight, destination: { service: "redis", ...tags } });
  await api.put("/meshes/default/dataplanes/redis-1", dataplane("redis-1", "default", "redis"));
  const path = "/meshes/default/traffic-routes/r";
  assert.equal(await warningsOf(api, path, route(to(1, {}))), []);
  assert.equal(await warningsOf(api, path, route(to(90, {}), to(0, { version: "2" }))), []);
  assert.equal(await warningsOf(api, path, route(to(90, {}), to(10, { version: "2" }))), [
    'no dataplane offers "redis" with version=2 at present: connections that it sends there, 10 of 100, are closed',
  ]);
  assert.match((await warningsOf(api, path, route(to(0, {}))))[0] ?? "", /no destination has any weight/);
  const many = route(...Array.from({ length: 8 }, (_, index) => to(1, { version: `v${index}` })));
  const warnings = await warningsOf(api, path, many);
  assert.is(warnings.length, 6);
  assert.match(warnings[5] ?? "", "3 more of its destinations");
});

test("an empty ProxyTemplate, as an old kumactl sends it, and one that lost its import cause warnings", async () => {
  const api = await stage();
  const template = (spec: object) => ({ type: "ProxyTemplate", mesh: "default", name: "t", ...spec });
  const path = "/meshes/default/proxytemplates/t";
  for (const empty of [{}, { conf: {} }, { selectors: from({ service: "web" }) }]) {
    const [warning = "", ...others] = await warningsOf(api, path, template(empty));
    assert.match(warning, /^it has neither imports nor resources: .*lose all listeners.*kumactl 0\.3\.0/);
    assert.equal(others, []);
  }
  const cluster =
    "'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster\nname: x\ntype: STATIC\nconnectTimeout: 5s\n";
  const resources = [{ name: "x", version: "1", resource: cluster }];
  assert.equal(await warningsOf(api, path, template({ resources })), []);
  assert.equal(await warningsOf(api, path, template({ imports: ["default-proxy"], resources })), []);
  const [lost = ""] = await warningsOf(api, path, template({ resources }));
  assert.match(lost, /no longer imports "default-proxy"/);
});

test("parts of a Mesh that this version only stores are named, also for a new mesh", async () => {
  const api = await stage();
  const [warning] = await warningsOf(api, "/meshes/m3", mesh({ tracing: {}, metrics: { prometheus: {} } }, "m3"));
  assert.is(warning, '"tracing" and "metrics" have no effect in this version');
});

test.run();
