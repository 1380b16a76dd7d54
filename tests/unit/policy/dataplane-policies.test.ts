import * as assert from "uvu/assert";
import { dataplanePolicies } from "../../../src/policy/dataplane-policies.js";
import type { Stored } from "../../../src/store/store.js";
import { policyMesh } from "../../support/explained-meshes.js";
import { meshRecord, meshViewOf, permission, stored } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";

const test = suite("the policies that match a dataplane");

function policiesOf(name: string, ...resources: readonly Stored[]) {
  const mesh = meshViewOf(...resources);
  const proxy = mesh.proxies.get(name);
  if (proxy === undefined) throw new Error(`there is no ${name}`);
  return dataplanePolicies(mesh, proxy);
}

const short = (matches: readonly { name: string; rule?: string; applies: boolean; reason: string }[]) =>
  matches.map(({ name, rule, applies, reason }) => `${name} ${rule ?? "-"} ${applies} ${reason}`);

test("by inbound: permissions add up, with the services that they allow", () => {
  const { mtls, inbounds } = policiesOf("web-1", ...policyMesh);
  assert.is(mtls, true);
  assert.equal(
    inbounds.map(({ address, port, tags }) => [address, port, tags.length]),
    [
      ["10.0.0.1", 8000, 1],
      ["10.0.0.1", 8001, 2],
    ],
  );
  const [web, shared] = inbounds;
  assert.equal(web?.allowed, ["ops", "shop"]);
  assert.equal(short(web?.trafficPermissions ?? []), ["ops - true all-apply", "shop rules[1] true all-apply"]);
  assert.equal(shared?.allowed, ["ops", "shop"]);
  assert.equal(short(shared?.trafficPermissions ?? []), ["ops - true all-apply", "shop rules[0] true all-apply"]);
  assert.equal(shared?.trafficPermissions[0], {
    name: "ops",
    source: { service: "ops", team: "a" },
    destination: {},
    applies: true,
    reason: "all-apply",
  });
});

test("by outbound: the route and the health check that apply, why others do not, and all logs", () => {
  const [redis, closed] = policiesOf("web-1", ...policyMesh).outbounds;
  assert.equal(short(redis?.trafficRoutes ?? []), [
    "canary - true more-specific",
    "all-to-redis - false less-specific",
    "everything - false less-specific",
  ]);
  assert.equal(redis?.trafficRoutes[0]?.source, { service: "web", version: "1" });
  assert.equal(
    redis?.shares.map(({ weight, destination, healthChecks }) => [weight, destination, short(healthChecks)]),
    [
      [90, { service: "redis", version: "1" }, ["a - true first-by-name", "b - false later-by-name"]],
      [10, { service: "redis-next" }, []],
    ],
  );
  assert.equal(
    redis?.trafficLogs.map((log) => [short([log])[0], log.backend]),
    [
      ["log-all rules[0] true all-apply", "file"],
      ["log-all rules[1] true all-apply", "tcp"],
      ["log-lost - false no-backend", undefined],
    ],
  );
  assert.is(closed?.service, "mysql");
  assert.equal(closed?.shares, []);
  assert.equal(short(closed?.trafficRoutes ?? []), ["no-mysql - true more-exact", "everything - false less-exact"]);
});

test("one template for the proxy as a whole", () => {
  assert.equal(policiesOf("web-1", ...policyMesh).proxyTemplates, [
    { name: "raw-web", selector: { service: "web" }, applies: true, reason: "more-specific" },
    { name: "raw-all", selector: {}, applies: false, reason: "less-specific" },
  ]);
});

test("without mTLS permissions are listed and have no effect", () => {
  const off = policyMesh.filter(({ type }) => type !== "Mesh");
  const { mtls, inbounds } = policiesOf("web-1", meshRecord(false), ...off);
  assert.is(mtls, false);
  assert.equal(inbounds[0]?.allowed, ["*"]);
  assert.equal(short(inbounds[0]?.trafficPermissions ?? []), ["ops - false mtls-off", "shop rules[1] false mtls-off"]);
});

test("a dataplane that no policy matches, and a mesh that allows everyone", () => {
  const bare = stored("Dataplane", "bare", {
    networking: { inbound: [{ interface: "10.0.0.9:1:1", tags: { service: "bare" } }] },
  });
  const alone = policiesOf("bare", meshRecord(), bare);
  assert.equal(alone.inbounds[0]?.allowed, []);
  assert.equal(alone.outbounds, []);
  const all = { sources: [{ match: { service: "*" } }], destinations: [{ match: { service: "*" } }] };
  assert.equal(policiesOf("bare", meshRecord(), bare, permission("all", all)).inbounds[0]?.allowed, ["*"]);
});

test.run();
