import * as assert from "uvu/assert";
import { createRegistry, registry } from "../../../src/resources/registry.js";
import { resourceType } from "../../../src/resources/resource.js";
import { text } from "../../../src/resources/scalars.js";
import { object } from "../../../src/resources/schema.js";
import { suite } from "../../support/suite.js";

const test = suite("registry");

const paths: readonly [name: string, ...paths: string[]][] = [
  ["Mesh", "meshes"],
  ["Dataplane", "dataplanes"],
  ["DataplaneInsight", "dataplane-insights"],
  ["DataplaneOverview", "dataplanes+insights", "dataplane+insights"],
  ["ProxyTemplate", "proxytemplates", "proxy-templates"],
  ["TrafficPermission", "traffic-permissions", "trafficpermissions"],
  ["TrafficLog", "traffic-logs", "trafficlogs"],
  ["TrafficRoute", "traffic-routes", "trafficroutes"],
  ["HealthCheck", "health-checks", "healthchecks"],
];

for (const [name, ...known] of paths) {
  test(`${name} is reached by ${known.join(" and ")}`, () => {
    const type = registry.byName(name);
    assert.equal([type?.path, ...(type?.pathAliases ?? [])], known);
  });
}

test("no word of kumactl leads to secrets", () => {
  assert.is(registry.byName("Secret")?.access, "internal");
  for (const word of ["secret", "secrets", "Secret"]) {
    assert.is(registry.byCliWord(word), undefined);
  }
});

const words: readonly [name: string, ...words: string[]][] = [
  ["Mesh", "mesh", "meshes"],
  ["Dataplane", "dataplane", "dataplanes"],
  ["ProxyTemplate", "proxytemplate", "proxytemplates"],
  ["TrafficPermission", "traffic-permission", "traffic-permissions", "trafficpermission", "trafficpermissions"],
  ["TrafficLog", "traffic-log", "traffic-logs", "trafficlog", "trafficlogs"],
  ["TrafficRoute", "traffic-route", "traffic-routes", "trafficroute", "trafficroutes"],
  ["HealthCheck", "healthcheck", "healthchecks", "health-check", "health-checks"],
];

for (const [name, ...known] of words) {
  test(`kumactl knows ${name} by ${known.join(", ")}`, () => {
    for (const word of known) assert.is(registry.byCliWord(word)?.name, name);
  });
}

test("words of every object name nothing", () => {
  for (const word of ["__proto__", "constructor", ""]) {
    assert.is(registry.byName(word), undefined);
    assert.is(registry.byCliWord(word), undefined);
  }
});

test("only the control plane writes insights, and they wake nobody", () => {
  const insight = registry.byName("DataplaneInsight");
  assert.is(insight?.access, "read");
  assert.is(insight?.feeds, false);
  assert.is(registry.byName("Dataplane")?.feeds, true);
});

test("a made-up type needs a name, a path and a schema", () => {
  const retry = resourceType({ name: "Retry", path: "retries", schema: object({ note: text() }) });
  const made = createRegistry([...registry.types, retry]);
  assert.is(made.byName("Retry"), retry);
  assert.equal(retry.validate({}), []);
  assert.equal(
    retry.columns.map(({ title }) => title),
    ["MESH", "NAME"],
  );
});

test("two types of one path are a mistake that shows at once", () => {
  const again = resourceType({ name: "Again", path: "trafficlogs", schema: object({}) });
  assert.throws(() => createRegistry([...registry.types, again]), '"trafficlogs" names both TrafficLog and Again');
});

test.run();
