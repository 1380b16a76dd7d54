import * as assert from "uvu/assert";
import { dataplaneType } from "../../../src/resources/dataplane.js";
import { meshType } from "../../../src/resources/mesh.js";
import { customResource } from "../../../src/resources/resource.js";
import { coreNameOf, meshOf, placeOf } from "../../../src/store/kubernetes/naming.js";
import { suite } from "../../support/suite.js";

const test = suite("names of resources on Kubernetes");

const namespaced = customResource("dataplanes", "mesh");
const cluster = customResource("meshes", "global");

test("the last dot separates the namespace, which has none; a pod's name may have several", () => {
  assert.equal(placeOf(namespaced, "web-1.demo"), { name: "web-1", namespace: "demo" });
  assert.equal(placeOf(namespaced, "web.v2.1.demo"), { name: "web.v2.1", namespace: "demo" });
});

test("a name without a namespace, or with half of one, is the name of nothing", () => {
  for (const name of ["web", "web.", ".demo", ".", ""]) assert.is(placeOf(namespaced, name), undefined, name);
});

test("a cluster-scoped resource has its object's name, dots included", () => {
  assert.equal(placeOf(cluster, "default"), { name: "default" });
  assert.equal(placeOf(cluster, "a.b"), { name: "a.b" });
});

test("an object's name and namespace make the name that leads back to it", () => {
  for (const place of [
    { name: "web-1", namespace: "demo" },
    { name: "a.b.c", namespace: "demo" },
  ])
    assert.equal(placeOf(namespaced, coreNameOf(place)), place);
  assert.is(coreNameOf({ name: "default" }), "default");
});

test("an object that names no mesh belongs to the default one; a Mesh is its own", () => {
  const object = { apiVersion: "kuma.io/v1alpha1", kind: "Dataplane", metadata: { name: "web", namespace: "demo" } };
  assert.is(meshOf(dataplaneType, object), "default");
  assert.is(meshOf(dataplaneType, { ...object, mesh: "" }), "default");
  assert.is(meshOf(dataplaneType, { ...object, mesh: "pilot" }), "pilot");
  assert.is(meshOf(meshType, { ...object, kind: "Mesh", mesh: "other", metadata: { name: "pilot" } }), "pilot");
});

test.run();
