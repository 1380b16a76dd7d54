import * as assert from "uvu/assert";
import { tagFilter } from "../../../src/cp/api/overviews.js";
import { suite } from "../../support/suite.js";
import { stage } from "./stage.js";

const test = suite("the overview of Dataplanes");

test("has no insight for a Dataplane that never connected", async () => {
  const api = await stage();
  await api.store.create({ type: "Dataplane", mesh: "default", name: "a", spec: { networking: {} } });
  const overview = { type: "DataplaneOverview", mesh: "default", name: "a", dataplane: { networking: {} } };
  assert.equal((await api.get("/meshes/default/dataplanes+insights")).json, { items: [overview] });
  assert.equal((await api.get("/meshes/default/dataplanes+insights/a")).json, { ...overview, dataplaneInsight: {} });
});

test("has the ports at which applications are down, while there are any", async () => {
  const api = await stage();
  for (const name of ["a", "b"]) {
    await api.store.create({ type: "Dataplane", mesh: "default", name, spec: { networking: {} } });
  }
  await api.store.create({ type: "DataplaneHealth", mesh: "default", name: "b", spec: { down: [80, 443] } });
  const healthOf = (item: unknown) => (item as { dataplaneHealth?: unknown }).dataplaneHealth;
  const { json } = await api.get("/meshes/default/dataplanes+insights");
  assert.equal((json as { items: unknown[] }).items.map(healthOf), [undefined, { down: [80, 443] }]);
  assert.equal(healthOf((await api.get("/meshes/default/dataplanes+insights/b")).json), { down: [80, 443] });
});

test("is filtered by tags, which one inbound must have together", async () => {
  const api = await stage();
  const inbound = [
    { interface: "127.0.0.1:1:2", tags: { service: "web.default.svc:80", version: "1" } },
    { interface: "127.0.0.1:3:4", tags: { service: "api", version: "2" } },
  ];
  await api.store.create({ type: "Dataplane", mesh: "default", name: "a", spec: { networking: { inbound } } });
  const found = async (query: string) => {
    const { json } = await api.get(`/meshes/default/dataplanes+insights?${query}`);
    return (json as { items: unknown[] }).items.length;
  };
  assert.is(await found("tag=service:api"), 1);
  assert.is(await found("tag=service:api&tag=version:2"), 1);
  assert.is(await found("tag=service:api&tag=version:1"), 0);
  assert.is(await found("tag=service:*&tag=version:1"), 1);
  assert.is(await found("tag=service:web.default.svc:80"), 1);
  assert.is(await found("tag=service%3Aapi"), 1);
  assert.is(await found("tag=region:*"), 0);
  assert.is(await found("tag=constructor:*"), 0);
  assert.is(await found("tag=nonsense&other=1"), 1);
});

test("uses the last of several values for one tag", () => {
  assert.equal(tagFilter("tag=a:1&tag=b:2&tag=a:3&tag=none"), { a: "3", b: "2" });
});

test.run();
