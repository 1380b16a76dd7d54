import * as assert from "uvu/assert";
import { dataplaneType } from "../../../src/resources/dataplane.js";
import { secretType } from "../../../src/resources/secret.js";
import { versionOf } from "../../../src/store/version.js";
import { suite } from "../../support/suite.js";
import { typeNamed } from "../../support/type-named.js";
import { dataplane, fields, stage, words } from "./stage.js";

const test = suite("the HTTP API keeps resources");

test("a resource is created with 201, replaced with 200 and read back as it was written", async () => {
  const api = await stage();
  const created = await api.put("/meshes/default/dataplanes/backend-1", dataplane("backend-1"));
  assert.equal([created.status, created.text], [201, ""]);
  const replaced = await api.put("/meshes/default/dataplanes/backend-1", dataplane("backend-1", "default", "web"));
  assert.equal([replaced.status, replaced.text], [200, ""]);
  const read = await api.get("/meshes/default/dataplanes/backend-1");
  assert.is(read.status, 200);
  assert.is(read.headers["Content-Type"], "application/json");
  assert.equal(read.json, dataplane("backend-1", "default", "web"));
});

test("responses are pretty-printed and begin with type, mesh and name", async () => {
  const api = await stage();
  const { networking } = dataplane("b");
  await api.put("/meshes/default/dataplanes/b", { networking, name: "b", mesh: "default", type: "Dataplane" });
  const { text } = await api.get("/meshes/default/dataplanes/b");
  assert.ok(text.startsWith('{\n "type": "Dataplane",\n "mesh": "default",\n "name": "b",\n "networking": {\n'));
  const list = await api.get("/meshes/default/dataplanes");
  assert.is(list.text, `${JSON.stringify({ items: [JSON.parse(text)] }, null, 1)}\n`);
});

test("a list that is empty, or of a mesh that does not exist, has no items", async () => {
  const api = await stage();
  assert.equal((await api.get("/meshes/default/traffic-logs")).json, { items: [] });
  assert.equal((await api.get("/meshes/ghost/dataplanes")).json, { items: [] });
});

test("a list reflects every change, and keeps the order of creation", async () => {
  const api = await stage();
  const names = async () => {
    const { json } = await api.get("/meshes/default/dataplanes");
    return (json as { items: { name: string }[] }).items.map(({ name }) => name);
  };
  for (const name of ["b", "a", "c"]) await api.put(`/meshes/default/dataplanes/${name}`, dataplane(name));
  assert.equal(await names(), ["b", "a", "c"]);
  await api.put("/meshes/default/dataplanes/b", dataplane("b", "default", "other"));
  assert.match((await api.get("/meshes/default/dataplanes")).text, /"service": "other"/);
  await api.delete("/meshes/default/dataplanes/a");
  assert.equal(await names(), ["b", "c"]);
});

test("a mesh has no field mesh, and gets the default CA", async () => {
  const api = await stage();
  await api.put("/meshes/m", { type: "Mesh", name: "m", mesh: "whatever" });
  assert.equal((await api.get("/meshes/m")).json, { type: "Mesh", name: "m", mtls: { ca: { builtin: {} } } });
});

test("every spelling of a path names the same resource", async () => {
  const api = await stage();
  const selectors = [{ match: { service: "*" } }];
  const permission = {
    type: "TrafficPermission",
    mesh: "default",
    name: "p",
    sources: selectors,
    destinations: selectors,
  };
  assert.is((await api.put("/meshes/default/trafficpermissions/p/", permission)).status, 201);
  for (const path of ["traffic-permissions", "trafficpermissions", "traffic%2Dpermissions"]) {
    assert.equal((await api.get(`/meshes/default/${path}/p`)).json, permission);
    assert.equal((await api.get(`/meshes/default/${path}/`)).json, { items: [permission] });
  }
  for (const path of ["dataplanes+insights", "dataplane+insights", "dataplanes%2Binsights", "dataplane+insights/"]) {
    assert.is((await api.get(`/meshes/default/${path}`)).status, 200);
  }
});

test("deleting a Dataplane deletes its insight, deleting a mesh everything in it", async () => {
  const api = await stage();
  await api.put("/meshes/m", { type: "Mesh", name: "m" });
  for (const name of ["a", "b"]) {
    await api.put(`/meshes/m/dataplanes/${name}`, dataplane(name, "m"));
    await api.store.create({ type: "DataplaneInsight", mesh: "m", name, spec: { subscriptions: [] } });
  }
  assert.is((await api.delete("/meshes/m/dataplanes/a")).status, 200);
  assert.is((await api.get("/meshes/m/dataplane-insights/a")).status, 404);
  assert.is((await api.get("/meshes/m/dataplane-insights/b")).status, 200);
  assert.is((await api.store.list(secretType, "m")).length, 1, "the mesh came with its certificate authority");
  assert.is((await api.delete("/meshes/m")).status, 200);
  assert.is((await api.get("/meshes/m")).status, 404);
  for (const type of ["Dataplane", "DataplaneInsight", "Secret"])
    assert.equal(await api.store.list(typeNamed(type), "m"), []);
  assert.is((await api.put("/meshes/m", { type: "Mesh", name: "m" })).status, 201);
});

test("deleting a deleted mesh still cleans up its leftovers", async () => {
  const api = await stage();
  await api.store.create({ type: "Dataplane", mesh: "gone", name: "left", spec: {} });
  const answer = await api.delete("/meshes/gone");
  assert.is(answer.status, 404);
  assert.equal(words(answer), ["Could not delete a resource", "Not found"]);
  assert.equal(await api.store.list(dataplaneType, "gone"), []);
});

test("names from Kubernetes can be read and deleted, but not written", async () => {
  const api = await stage();
  await api.store.create({ type: "Dataplane", mesh: "default", name: "pod.ns", spec: {} });
  assert.is((await api.get("/meshes/default/dataplanes/pod.ns")).status, 200);
  assert.equal(fields(await api.put("/meshes/default/dataplanes/pod.ns", dataplane("pod.ns"))), ["name"]);
  assert.is((await api.delete("/meshes/default/dataplanes/pod.ns")).status, 200);
});

test("a dry run answers like the real thing and stores nothing", async () => {
  const api = await stage();
  const path = "/meshes/default/dataplanes/a";
  assert.is((await api.put(`${path}?dry-run=true`, dataplane("a"))).status, 201);
  assert.is((await api.get(path)).status, 404);
  await api.put(path, dataplane("a"));
  assert.is((await api.put(`${path}?dry-run=true`, dataplane("a", "default", "new"))).status, 200);
  assert.equal((await api.get(path)).json, dataplane("a"));
  const invalid = await api.put(`${path}?dry-run=true`, { ...dataplane("a"), networking: {} });
  assert.equal([invalid.status, fields(invalid)], [400, ["networking.inbound"]]);
  const ghost = await api.put("/meshes/ghost/dataplanes/a?dry-run=true", dataplane("a", "ghost"));
  assert.equal(words(ghost), ["Could not create a resource", "Mesh is not found"]);
  assert.equal(fields(await api.put(`${path}?dry-run=yes`, dataplane("a", "default", "new"))), ["dry-run"]);
  assert.equal((await api.get(path)).json, dataplane("a"));
});

test("writing an unchanged resource changes no version", async () => {
  const api = await stage();
  const key = { type: "Dataplane", mesh: "default", name: "a" };
  await api.put("/meshes/default/dataplanes/a", dataplane("a"));
  const before = await api.store.get(key);
  assert.is((await api.put("/meshes/default/dataplanes/a", dataplane("a"))).status, 200);
  assert.is(await api.store.get(key), before);
});

test("an unchanged Dataplane is written while its connected proxy rejects something", async () => {
  const api = await stage();
  const key = { type: "Dataplane", mesh: "default", name: "a" };
  const insight = { ...key, type: "DataplaneInsight" };
  await api.put("/meshes/default/dataplanes/a", dataplane("a"));
  const status = { refused: [{ type: "lds", name: "in", reason: "cannot bind" }] };
  await api.store.create({ ...insight, spec: { subscriptions: [{ id: "1", status }] } });
  const versions = async () => (await api.store.get(key))?.version;
  const before = await versions();
  assert.is((await api.put("/meshes/default/dataplanes/a?dry-run=true", dataplane("a"))).status, 200);
  assert.is(await versions(), before);
  assert.is((await api.put("/meshes/default/dataplanes/a", dataplane("a"))).status, 200);
  assert.is.not(await versions(), before);

  const stored = await api.store.get(insight);
  const gone = { id: "1", status, disconnectTime: "2026-01-01T00:00:00Z" };
  await api.store.update({ ...insight, spec: { subscriptions: [gone] } }, stored?.version ?? versionOf(0));
  const settled = await versions();
  await api.put("/meshes/default/dataplanes/a", dataplane("a"));
  assert.is(await versions(), settled, "what a stream that is gone refused no longer counts");
});

test("the control plane describes itself", async () => {
  const api = await stage({ catalogue: { apis: { here: true } }, config: { store: { type: "memory" } } });
  assert.equal((await api.get("/")).json, { tagline: "Kuma", version: "0.3.0" });
  for (const path of ["/catalogue", "/catalog", "/catalogue/"]) {
    assert.equal((await api.get(path)).json, { apis: { here: true } });
  }
  assert.equal((await api.get("/config")).json, { store: { type: "memory" } });
});

test("connected proxies without a Dataplane are listed, longest connected first, a thousand at most", async () => {
  const since = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second));
  const named = (name: string, second: number) => ({ id: { mesh: "m", name }, since: since(second) });
  const some = await (await stage({ unregistered: () => [named("b", 2), named("a", 1)] })).get("/unregistered-proxies");
  assert.equal(some.json, {
    total: 2,
    items: [
      { mesh: "m", name: "a", connectTime: "2026-01-01T00:00:01.000Z" },
      { mesh: "m", name: "b", connectTime: "2026-01-01T00:00:02.000Z" },
    ],
  });
  const flood = Array.from({ length: 5_000 }, (_, index) => named(`x${index}`, index));
  const many = (await (await stage({ unregistered: () => flood })).get("/unregistered-proxies")).json;
  const { total, items } = many as { total: number; items: unknown[] };
  assert.equal([total, items.length], [5_000, 1_000]);
});

test.run();
