import * as assert from "uvu/assert";
import { applicationChecks } from "../../../src/policy/application-checks.js";
import type { Stored } from "../../../src/store/store.js";
import { versionOf } from "../../../src/store/version.js";
import { dataplane, meshRecord, meshViewOf } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";

const test = suite("the checks of a proxy's own applications");

const check = (name: string, source: string, service: string, conf: object): Stored => ({
  type: "HealthCheck",
  mesh: "m",
  name,
  version: versionOf(1),
  spec: { sources: [{ match: { service: source } }], destinations: [{ match: { service } }], conf },
});

const active = (interval: string) => ({
  activeChecks: { interval, timeout: "2s", unhealthyThreshold: 3, healthyThreshold: 2 },
});

const db = dataplane("db-1", {
  inbound: [
    { interface: "127.0.0.1:8000:80", tags: { service: "db" } },
    { interface: "127.0.0.1:8001:81", tags: { service: "admin" } },
  ],
});

function found(...checks: Stored[]) {
  const mesh = meshViewOf(meshRecord(false), db, ...checks);
  const proxy = mesh.proxies.get("db-1");
  if (proxy === undefined) throw new Error("there is no db-1");
  return Object.fromEntries(applicationChecks(mesh, proxy));
}

test("are those of the HealthChecks for their services, whatever the sources", () => {
  assert.equal(found(), {});
  assert.equal(found(check("other", "web", "cache", active("1s"))), {});
  const conf = { interval: "10s", timeout: "2s", unhealthyThreshold: 3, healthyThreshold: 2 };
  assert.equal(found(check("db", "web", "db", active("10s"))), { 80: conf });
});

test("use the shortest interval of all HealthChecks", () => {
  const { 80: both } = found(check("a", "web", "db", active("10s")), check("b", "api", "db", active("2s")));
  assert.is(both?.interval, "2s");
});

test("run once a second if there are only passive checks", () => {
  const passive = { passiveChecks: { unhealthyThreshold: 4, penaltyInterval: "60s" } };
  const { 81: admin } = found(check("admin", "*", "admin", passive));
  assert.equal(admin, { interval: "1s", timeout: "1s", unhealthyThreshold: 4, healthyThreshold: 1 });
});

test.run();
