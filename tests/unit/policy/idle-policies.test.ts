import * as assert from "uvu/assert";
import { finish } from "../../../src/lib/steps.js";
import { idlePolicies } from "../../../src/policy/idle-policies.js";
import type { Stored } from "../../../src/store/store.js";
import { dataplane, meshRecord, meshViewOf, stored } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";

const test = suite("policies that match nothing");

type Tags = Readonly<Record<string, string>>;

const web = dataplane("web-1", {
  inbound: [{ interface: "10.0.0.1:9000:80", tags: { service: "web", version: "1" } }],
  outbound: [
    { interface: ":10000", service: "redis" },
    { interface: ":10001", service: "elsewhere" },
  ],
});
const redis = dataplane("redis-1", { inbound: [{ interface: "10.0.0.2:9000:6379", tags: { service: "redis" } }] });

const select = (...all: readonly (string | Tags)[]) =>
  all.map((tags) => ({ match: typeof tags === "string" ? { service: tags } : tags }));
const between = (source: string | Tags, destination: string | Tags) => ({
  sources: select(source),
  destinations: select(destination),
});

const idle = (...policies: readonly Stored[]) =>
  finish(idlePolicies(meshViewOf(meshRecord(), web, redis, ...policies)));
const reasons = (...policies: readonly Stored[]) => idle(...policies).map(({ reason }) => reason);

const types = ["TrafficPermission", "TrafficLog", "TrafficRoute", "HealthCheck"] as const;
const spec = (type: (typeof types)[number], ends: ReturnType<typeof between>) =>
  type === "TrafficPermission" || type === "TrafficLog" ? { rules: [ends] } : ends;

for (const type of types) {
  test(`a ${type} for something that exists, or for everything, is not idle`, () => {
    for (const ends of [between("web", "redis"), between("*", "*"), between({ service: "web" }, "redis")]) {
      assert.equal(idle(stored(type, "p", spec(type, ends))), [], JSON.stringify(ends));
    }
  });

  test(`a ${type} with a misspelt source or destination is idle`, () => {
    const nothing = (service: string) => [
      { type, name: "p", reason: `matches no dataplane: no dataplane has service=${service}` },
    ];
    assert.equal(idle(stored(type, "p", spec(type, between("wep", "redis")))), nothing("wep"));
    assert.equal(idle(stored(type, "p", spec(type, between("web", "redsi")))), nothing("redsi"));
  });
}

test("routes can match a service that only has outbounds, but permissions can't", () => {
  assert.equal(idle(stored("TrafficRoute", "p", between("web", "elsewhere"))), []);
  assert.is(reasons(stored("TrafficPermission", "p", { rules: [between("web", "elsewhere")] })).length, 1);
});

test("one rule or selector that matches is enough", () => {
  const some = { sources: select("wep", "web"), destinations: select("redsi", "redis") };
  assert.equal(idle(stored("TrafficRoute", "p", some)), []);
  assert.equal(
    idle(stored("TrafficPermission", "p", { rules: [between("wep", "redis"), between("web", "redis")] })),
    [],
  );
  assert.equal(reasons(stored("TrafficPermission", "p", { rules: [between("a", "redis"), between("web", "b")] })), [
    "matches no dataplane: no dataplane has service=a or service=b",
  ]);
});

test("tags must be on one inbound; of a permission's source only the service counts", () => {
  assert.is(reasons(stored("HealthCheck", "p", between({ service: "redis", version: "1" }, "redis"))).length, 1);
  assert.equal(
    idle(stored("TrafficPermission", "p", { rules: [between({ service: "web", version: "9" }, "redis")] })),
    [],
  );
  assert.is(
    reasons(stored("TrafficPermission", "p", { rules: [between("web", { service: "redis", version: "9" })] })).length,
    1,
  );
});

test("a ProxyTemplate without selectors matches all, and `*` in one is an ordinary value", () => {
  const template = (...all: readonly Tags[]) => stored("ProxyTemplate", "t", { selectors: select(...all) });
  assert.equal(idle(stored("ProxyTemplate", "t", {}), template({}), template({ service: "web" })), []);
  assert.equal(reasons(template({ service: "*" })), ["matches no dataplane: no dataplane has service=*"]);
  assert.is(reasons(template({ service: "web", version: "2" })).length, 1);
});

test("a policy without any rule selects nothing", () => {
  assert.equal(reasons(stored("TrafficPermission", "p", {})), ["matches no dataplane: it selects nothing"]);
  assert.equal(reasons(stored("TrafficRoute", "p", {})), ["matches no dataplane: it selects nothing"]);
});

test("policies of a mesh without dataplanes are not idle", () => {
  const view = meshViewOf(meshRecord(), stored("TrafficRoute", "p", between("web", "redis")));
  assert.equal(finish(idlePolicies(view)), []);
});

test("tags with the names of inherited properties are tags", () => {
  assert.is(reasons(stored("ProxyTemplate", "t", { selectors: select({ constructor: "x" }) })).length, 1);
  assert.is(reasons(stored("TrafficRoute", "p", between({ toString: "x" }, "redis"))).length, 1);
});

test.run();
