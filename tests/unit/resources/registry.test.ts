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

test("no kumactl word names secrets", () => {
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

/** The names of Kuma's CRDs; Kuma 0.3 does not have the type DataplaneHealth. */
const customResources: Readonly<Record<string, { readonly plural: string; readonly scope: string }>> = {
  Mesh: { plural: "meshes", scope: "Cluster" },
  Dataplane: { plural: "dataplanes", scope: "Namespaced" },
  DataplaneInsight: { plural: "dataplaneinsights", scope: "Namespaced" },
  DataplaneHealth: { plural: "dataplanehealths", scope: "Namespaced" },
  ProxyTemplate: { plural: "proxytemplates", scope: "Namespaced" },
  TrafficPermission: { plural: "trafficpermissions", scope: "Namespaced" },
  TrafficLog: { plural: "trafficlogs", scope: "Namespaced" },
  TrafficRoute: { plural: "trafficroutes", scope: "Namespaced" },
  HealthCheck: { plural: "healthchecks", scope: "Namespaced" },
};

for (const [name, expected] of Object.entries(customResources)) {
  test(`Kubernetes knows ${name} as ${expected.plural}.kuma.io, ${expected.scope.toLowerCase()}`, () => {
    const body = name === "DataplaneInsight" ? "status" : "spec";
    assert.equal(registry.byName(name)?.kubernetes, { ...expected, body });
  });
}

test("every type is a custom resource, except secrets, which Kubernetes has itself, and types that are never stored", () => {
  const without = registry.types.filter(({ kubernetes }) => kubernetes === undefined).map(({ name }) => name);
  assert.equal(without.sort(), ["DataplaneOverview", "Secret"]);
});

test("each custom resource has a plural of its own that the API server accepts", () => {
  const plurals = registry.types.flatMap(({ kubernetes }) => kubernetes?.plural ?? []);
  assert.is(new Set(plurals).size, plurals.length);
  for (const plural of plurals) assert.match(plural, /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/);
});

test("names of object members match no type", () => {
  for (const word of ["__proto__", "constructor", ""]) {
    assert.is(registry.byName(word), undefined);
    assert.is(registry.byCliWord(word), undefined);
  }
});

test("only the control plane writes insights, and they are not in the change feed", () => {
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

test("two types with the same path are rejected at once", () => {
  const again = resourceType({ name: "Again", path: "trafficlogs", schema: object({}) });
  assert.throws(() => createRegistry([...registry.types, again]), '"trafficlogs" names both TrafficLog and Again');
});

test.run();
