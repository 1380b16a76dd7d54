import * as assert from "uvu/assert";
import { crds } from "../../../src/kubernetes/crds.js";
import { registry } from "../../../src/resources/registry.js";
import { suite } from "../../support/suite.js";

const test = suite("the CustomResourceDefinitions");

const all = crds(registry);
const schemaOf = (kind: string) => {
  const crd = all.find(({ spec }) => spec.names.kind === kind);
  const [version] = crd?.spec.versions ?? [];
  if (version === undefined) throw new Error(`there is no CRD of ${kind}`);
  return version.schema.openAPIV3Schema;
};

test("are those of the registry's kinds, no other, in the order of their names", () => {
  const kinds = registry.types.filter(({ kubernetes }) => kubernetes !== undefined).map(({ name }) => name);
  assert.equal(all.map(({ spec }) => spec.names.kind).sort(), kinds.sort());
  const names = all.map(({ metadata }) => metadata.name);
  assert.equal(names, [...names].sort());
  assert.ok(names.includes("healthchecks.kuma.io") && names.includes("trafficroutes.kuma.io"));
});

test("only a Mesh is cluster-scoped and has no mesh beside its metadata", () => {
  for (const { spec } of all) {
    const kind = String(spec.names.kind);
    assert.is(spec.scope, kind === "Mesh" ? "Cluster" : "Namespaced", kind);
    assert.is(schemaOf(kind).properties?.mesh?.type, kind === "Mesh" ? undefined : "string", kind);
  }
});

test("an insight's content is its status, which no status subresource hides; everything else has a spec", () => {
  for (const { spec } of all) {
    const kind = String(spec.names.kind);
    const body = kind === "DataplaneInsight" ? "status" : "spec";
    const { properties = {} } = schemaOf(kind);
    assert.equal(
      Object.keys(properties).filter((name) => name === "spec" || name === "status"),
      [body],
    );
    assert.ok(spec.versions.every((version) => !("subresources" in version)));
  }
});

test("unknown fields survive at every depth, and fields are explained without a type that would refuse values", () => {
  const body = schemaOf("TrafficPermission").properties?.spec;
  const sources = body?.properties?.rules?.items?.properties?.sources;
  assert.ok(sources !== undefined);
  for (const part of [body, body?.properties?.rules, body?.properties?.rules?.items, sources, sources.items])
    assert.is(part?.["x-kubernetes-preserve-unknown-fields"], true);
  assert.is(sources.type, undefined);
  assert.match(
    schemaOf("Mesh").properties?.spec?.properties?.mtls?.properties?.enabled?.description ?? "",
    /true or false/i,
  );
  assert.match(schemaOf("TrafficPermission").description ?? "", /mTLS/);
});

test.run();
