import { validateHeaderValue } from "node:http";
import * as assert from "uvu/assert";
import { suite } from "../../support/suite.js";
import { fields, type Stage, stage } from "./stage.js";

const test = suite("policies over the HTTP API");

const from = (match: object) => [{ match }];
const web = from({ service: "web" });
const named = (type: string, spec: object) => ({ type, mesh: "default", name: "x", ...spec });

async function roundTrip(api: Stage, path: string, body: object): Promise<void> {
  assert.is((await api.put(`/meshes/default/${path}/x`, body)).status, 201);
  assert.equal((await api.get(`/meshes/default/${path}/x`)).json, body);
  await api.delete(`/meshes/default/${path}/x`);
}

test("are returned in the form in which they were written: flat or with rules, flat or nested", async () => {
  const api = await stage();
  const flat = { sources: web, destinations: web };
  await roundTrip(api, "traffic-permissions", named("TrafficPermission", flat));
  await roundTrip(api, "traffic-permissions", named("TrafficPermission", { rules: [flat] }));
  await roundTrip(api, "traffic-logs", named("TrafficLog", { ...flat, conf: { backend: "b" } }));
  await roundTrip(api, "trafficlogs", named("TrafficLog", { rules: [flat, { ...flat, conf: { backend: "b" } }] }));
  await roundTrip(api, "proxytemplates", named("ProxyTemplate", { imports: ["default-proxy"] }));
  await roundTrip(api, "proxytemplates", named("ProxyTemplate", { conf: { imports: ["default-proxy"] } }));
  await roundTrip(
    api,
    "traffic-routes",
    named("TrafficRoute", { ...flat, conf: [{ weight: 1, destination: { service: "web", version: "2" } }] }),
  );
  const passiveChecks = { unhealthyThreshold: 3, penaltyInterval: "5s" };
  await roundTrip(api, "healthchecks", named("HealthCheck", { ...flat, conf: { passiveChecks } }));
});

test("are rejected with the path of each error", async () => {
  const api = await stage();
  const causes = async (path: string, body: object) => fields(await api.put(`/meshes/default/${path}/x`, body));
  const rules = [{ sources: from({ version: "1" }), destinations: web }];
  assert.equal(await causes("traffic-permissions", named("TrafficPermission", { rules })), [
    "rules[0].sources[0].match",
  ]);
  assert.equal(await causes("traffic-permissions", named("TrafficPermission", {})), ["rules"]);
  assert.equal(await causes("proxytemplates", named("ProxyTemplate", { imports: ["x"] })), ["imports[0]"]);
  assert.equal(await causes("proxytemplates", named("ProxyTemplate", { conf: { imports: ["x"] } })), [
    "conf.imports[0]",
  ]);
  assert.equal(await causes("traffic-routes", named("TrafficRoute", { sources: web, destinations: web })), ["conf"]);
  assert.equal(await causes("health-checks", named("HealthCheck", { sources: web, destinations: web })), ["conf"]);
});

test("cause warnings in a header that every client can read, whatever their tags are called", async () => {
  const api = await stage();
  for (const [key, told] of [
    ["version", String.raw`\"version\"`],
    ['a"b\\c', String.raw`\"a\"b\\c\"`],
    ["x".repeat(255), String.raw`\"xxxx`],
  ] as const) {
    const sources = from({ service: "web", [key]: "1" });
    const body = named("TrafficPermission", { sources, destinations: web });
    const { status, headers } = await api.put("/meshes/default/traffic-permissions/x", body);
    assert.ok(status === 200 || status === 201);
    const { Warning: warning = "" } = headers;
    validateHeaderValue("Warning", warning);
    assert.ok(warning.length < 2000);
    assert.ok(warning.includes(told), warning);
  }
});

test("are deleted with their mesh", async () => {
  const api = await stage();
  await api.put("/meshes/default/traffic-logs/x", named("TrafficLog", { sources: web, destinations: web }));
  assert.is((await api.delete("/meshes/default")).status, 200);
  assert.equal((await api.get("/meshes/default/traffic-logs")).json, { items: [] });
});

test.run();
