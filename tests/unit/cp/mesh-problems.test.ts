import * as assert from "uvu/assert";
import { type MeshProblemsOptions, meshProblems } from "../../../src/cp/explain/mesh-problems.js";
import { finish } from "../../../src/lib/steps.js";
import type { Observations, ProxyObservation } from "../../../src/policy/explain/observations.js";
import type { Stored } from "../../../src/store/store.js";
import { dataplane, meshRecord, meshViewOf, permission, stored } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";

const test = suite("problems in a mesh");

const now = new Date("2026-10-01T10:00:00Z");

function observations(odd: Readonly<Record<string, Partial<ProxyObservation>>> = {}): Observations {
  return {
    now,
    proxy: (name) => ({
      online: true,
      notAfter: new Date("2026-10-31T10:00:00Z"),
      services: undefined,
      refusal: undefined,
      ...odd[name],
    }),
    inbound: () => ({ state: "acknowledged" }),
    outbound: () => ({ state: "acknowledged" }),
  };
}

let next = 0;
const proxy = (name: string, service: string, ...outbounds: readonly string[]) =>
  dataplane(name, {
    inbound: [{ interface: `10.0.0.${++next % 250}:9000:80`, tags: { service } }],
    outbound: outbounds.map((to, index) => ({ interface: `:${10_000 + index}`, service: to })),
  });
const select = (service: string) => [{ match: { service } }];
const permit = (name: string, from: string, to: string) =>
  permission(name, { rules: [{ sources: select(from), destinations: select(to) }] });
const log = (name: string, backend?: string) =>
  stored("TrafficLog", name, {
    rules: [
      { sources: select("*"), destinations: select("*"), ...(backend === undefined ? {} : { conf: { backend } }) },
    ],
  });

const look = (resources: readonly Stored[], options: Partial<MeshProblemsOptions> = {}) =>
  finish(meshProblems(meshViewOf(...resources), { observations: observations(), settled: () => true, ...options }));
const told = (resources: readonly Stored[], options: Partial<MeshProblemsOptions> = {}) =>
  look(resources, options).problems.map(({ code, message }) => `${code}: ${message}`);

const web = proxy("web-1", "web", "redis");
const redis = proxy("redis-1", "redis");
const allowed = permit("p", "web", "redis");

test("a mesh without problems", () => {
  assert.equal(look([meshRecord(), web, redis, allowed]), { mesh: "m", problems: [], complete: true });
  assert.equal(look([meshRecord(false)]).problems, []);
});

test("an outbound to a service without an inbound", () => {
  assert.equal(told([meshRecord(false), proxy("a", "a", "redsi"), redis]), [
    'no-endpoint: no dataplane offers "redsi"',
  ]);
});

test("an outbound that no permission allows, once for any number of instances, and only while mTLS is enabled", () => {
  const resources = [web, proxy("web-2", "web", "redis"), redis];
  assert.equal(told([meshRecord(), ...resources]), [
    'not-permitted: no TrafficPermission allows "web" to connect to "redis"',
  ]);
  assert.equal(told([meshRecord(false), ...resources]), []);
});

test("a route that sends nowhere, or to a missing instance", () => {
  const route = (...conf: readonly object[]) =>
    stored("TrafficRoute", "r", { sources: select("web"), destinations: select("redis"), conf });
  assert.match(
    told([meshRecord(false), web, redis, route({ destination: { service: "redis" } })]).join(),
    /^nowhere: TrafficRoute "r" gives no destination any weight/,
  );
  assert.equal(
    told([meshRecord(false), web, redis, route({ weight: 1, destination: { service: "redis", version: "2" } })]),
    ['no-endpoint: no dataplane offers "redis" with version=2'],
  );
});

test("a dataplane without inbounds because of an invalid interface, used or not", () => {
  const broken = dataplane("b", {
    inbound: [
      { interface: "10.1.0.1:9000:80", tags: { service: "b" } },
      { interface: "x", tags: { service: "c" } },
    ],
  });
  const expected = "unusable: b offers nothing, because networking.inbound[1] can't be read";
  assert.equal(told([meshRecord(false), broken]), [expected]);
  const both = told([meshRecord(false), broken, proxy("a", "a", "b")]);
  assert.equal(both.filter((one) => one === expected).length, 1, "once");
});

test("an Envoy that has not acknowledged a certificate since it started, after a grace period", () => {
  const bare = observations({ "redis-1": { notAfter: undefined } });
  const resources = [meshRecord(), web, redis, allowed];
  const { problems } = look(resources, { observations: bare });
  assert.equal(problems, [
    {
      code: "certificate-missing",
      message: "redis-1 is connected, but its Envoy has not received a certificate since it started",
      dataplanes: ["redis-1"],
    },
  ]);
  assert.equal(told(resources, { observations: bare, settled: () => false }), []);
  assert.equal(told([meshRecord(false), web, redis, allowed], { observations: bare }), [], "nobody needs one");
  for (const odd of [
    { notAfter: undefined, online: false },
    { notAfter: undefined, refusal: "there is no token" },
  ]) {
    assert.equal(told(resources, { observations: observations({ "redis-1": odd }) }), [], "that is another check's");
  }
});

test("a certificate that can't be renewed, unless another control plane may renew it", () => {
  const resources = [meshRecord(), web, redis, allowed];
  const cut = { hasSecretStream: (name: string) => name !== "redis-1" };
  assert.equal(told(resources, cut), [
    "no-secret-stream: redis-1 is not connected to the SDS server: its certificate, which ends at " +
      "2026-10-31T10:00:00.000Z, can't be renewed",
  ]);
  assert.equal(told(resources, { hasSecretStream: () => undefined }), []);
  assert.equal(told(resources, { ...cut, settled: () => false }), []);
  assert.equal(told([meshRecord(false), web, redis, allowed], cut), []);
  const refused = observations({ "redis-1": { refusal: "no token" } });
  assert.equal(told(resources, { ...cut, observations: refused }), [], "its token is the reason");
});

test("a TrafficLog whose backend is missing, or not allowed on the machine", () => {
  const logging = (more: object) => stored("Mesh", "m", { logging: more });
  const file = { backends: [{ name: "file", file: { path: "/var/log/x" } }] };
  assert.equal(told([logging(file), web, redis, log("l", "nope")]), [
    'no-backend: TrafficLog "l" (rules[0]) logs nothing: the Mesh has no logging backend "nope"',
  ]);
  assert.equal(told([logging(file), web, redis, log("l")]), [
    'no-backend: TrafficLog "l" (rules[0]) logs nothing: the Mesh has no defaultBackend',
  ]);
  assert.equal(told([logging(file), web, redis, log("l", "file")]), []);
  const strict = observations({ "web-1": { mayLogTo: () => false } });
  assert.match(
    told([logging(file), web, redis, log("l", "file")], { observations: strict }).join(),
    /^not-logged: connections of web-1 are not logged by backend "file"/,
  );
});

test("a policy that matches nothing", () => {
  assert.equal(told([meshRecord(), web, redis, allowed, permit("typo", "wep", "redis")]), [
    'idle-policy: TrafficPermission "typo" matches no dataplane: no dataplane has service=wep',
  ]);
});

test("problems of one dataplane from its insight are not repeated", () => {
  const offline = observations({ "redis-1": { online: false }, "web-1": { refusal: "no token" } });
  assert.equal(told([meshRecord(), web, redis, allowed], { observations: offline }), []);
});

test("of a mesh with too many pairs are incomplete, which is reported", () => {
  const many = Array.from({ length: 20 }, (_, index) => proxy(`p-${index}`, `s-${index}`, "nobody"));
  const { problems, complete } = look([meshRecord(), ...many], { mostPairs: 5 });
  assert.is(complete, false);
  assert.is(problems.filter(({ code }) => code === "not-permitted").length, 5);
});

test.run();
