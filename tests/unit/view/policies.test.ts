import * as assert from "uvu/assert";
import type { Change, Stored } from "../../../src/store/store.js";
import { versionOf } from "../../../src/store/version.js";
import { apply, emptyView, type TouchedMeshes, untouched } from "../../../src/view/apply.js";
import type { View } from "../../../src/view/mesh-view.js";
import { noPolicies, type PolicyTable, policiesFor } from "../../../src/view/policies.js";
import { dataplane, meshRecord, stored } from "../../support/mesh-view.js";
import { runSeed, seeded } from "../../support/random.js";
import { suite } from "../../support/suite.js";

const test = suite("policies and authorities in the view of a mesh");

type Tags = Readonly<Record<string, string>>;

const selectors = (all: readonly (string | Tags)[]) =>
  all.map((tags) => ({ match: typeof tags === "string" ? { service: tags } : tags }));
const rule = (...destinations: (string | Tags)[]) => ({
  sources: selectors(["web"]),
  destinations: selectors(destinations),
});

const permission = (name: string, ...destinations: (string | Tags)[]) =>
  stored("TrafficPermission", name, { rules: [rule(...destinations)] });
const log = (name: string, ...destinations: (string | Tags)[]) => stored("TrafficLog", name, rule(...destinations));
const template = (name: string, ...tags: (string | Tags)[]) =>
  stored("ProxyTemplate", name, tags.length === 0 ? {} : { selectors: selectors(tags) });
const authority = stored("Secret", "builtinca.m", { value: "eA==" });

const put = (resource: Stored): Change => ({ kind: "put", sequence: 2, resource });
const gone = ({ type, mesh, name }: Stored): Change => ({
  kind: "delete",
  sequence: 3,
  key: { type, mesh, name },
});
const listing = (...resources: Stored[]): Change => ({ kind: "listing", sequence: 1, resources });

/** The view after the changes, and what they touched in mesh `m`: `authority mesh everyone upstream=a inbound=b`. */
function after(view: View, ...changes: Change[]) {
  const touched: TouchedMeshes = new Map();
  const next = changes.reduce((before, change) => apply(before, change, touched), view);
  const { mesh, everyone, authority: ca, upstreams, inboundServices, proxies } = touched.get("m") ?? untouched();
  const list = (title: string, names: Iterable<string>) => [...names].sort().map((name) => `${title}=${name}`);
  const parts = [...(ca ? ["authority"] : []), ...(mesh ? ["mesh"] : []), ...(everyone ? ["everyone"] : [])];
  parts.push(...list("proxy", proxies), ...list("upstream", upstreams), ...list("inbound", inboundServices));
  return { view: next, touched: parts.join(" ") };
}

const start = (...resources: Stored[]) => after(emptyView, listing(...resources)).view;
const on = [meshRecord()];
const off = [meshRecord(false)];

const cases: readonly (readonly [
  title: string,
  before: readonly Stored[],
  changes: readonly Change[],
  touched: string,
])[] = [
  ["a permission for a service", on, [put(permission("p", "redis"))], "inbound=redis"],
  ["for several", on, [put(permission("p", "redis", "mysql"))], "inbound=mysql inbound=redis"],
  ["for a service with tags", on, [put(permission("p", { service: "redis", version: "1" }))], "inbound=redis"],
  ["for all services", on, [put(permission("p", "*"))], "everyone"],
  ["for tags of any service", on, [put(permission("p", { version: "1" }))], "everyone"],
  ["for everything", on, [put(permission("p", {}))], "everyone"],
  ["for one service and all others", on, [put(permission("p", "redis", "*"))], "everyone inbound=redis"],
  ["a flat permission", on, [put(stored("TrafficPermission", "p", rule("redis")))], "inbound=redis"],
  ["a permission without a rule", on, [put(stored("TrafficPermission", "p", { rules: [] }))], ""],
  [
    "a permission with a changed destination: both the old and the new one",
    [...on, permission("p", "redis")],
    [put(permission("p", "mysql"))],
    "inbound=mysql inbound=redis",
  ],
  [
    "a permission narrowed from all services to one",
    [...on, permission("p", "*")],
    [put(permission("p", "redis"))],
    "everyone inbound=redis",
  ],
  ["a deleted permission", [...on, permission("p", "redis")], [gone(permission("p"))], "inbound=redis"],
  ["deleting a permission that does not exist", on, [gone(permission("p"))], ""],
  ["a permission with mTLS off", off, [put(permission("p", "*")), put(permission("q", "redis"))], ""],
  ["a permission deleted with mTLS off", [...off, permission("p", "redis")], [gone(permission("p"))], ""],
  ["a permission whose mesh does not exist yet", [], [put(permission("p", "redis"))], ""],
  ["mTLS enabled after a permission was created", off, [put(permission("p", "redis")), put(meshRecord())], "mesh"],
  ["a log for a service: its clients", off, [put(log("l", "redis"))], "upstream=redis"],
  ["a log for all services", off, [put(log("l", "*"))], "everyone"],
  ["a health check", off, [put(stored("HealthCheck", "h", rule("redis")))], "upstream=redis"],
  ["a route", off, [put(stored("TrafficRoute", "r", rule("redis")))], "upstream=redis"],
  ["a template for a service: its own proxies", off, [put(template("t", "redis"))], "inbound=redis"],
  ["a template by another tag", off, [put(template("t", { app: "redis" }))], "everyone"],
  ["a template without selectors is for every proxy", off, [put(template("t"))], "everyone"],
  [
    "a service with the name of an inherited property",
    on,
    [put(permission("p", "constructor"))],
    "inbound=constructor",
  ],
  ["an authority", on, [put(authority)], "authority"],
  ["a changed authority", [...on, authority], [put({ ...authority, version: versionOf(2) })], "authority"],
  ["a deleted authority", [...on, authority], [gone(authority)], "authority"],
  ["deleting an authority that does not exist", on, [gone(authority)], ""],
  [
    "a secret that is not this mesh's authority",
    on,
    [put(stored("Secret", "builtinca.n")), put(stored("Secret", "x"))],
    "",
  ],
  [
    "a listing with another permission, another authority and no log",
    [...on, authority, permission("p", "redis"), log("l", "web")],
    [listing(...on, { ...authority, version: versionOf(2) }, permission("q", "mysql"))],
    "authority mesh upstream=web inbound=mysql inbound=redis",
  ],
];

for (const [title, before, changes, touched] of cases) {
  test(`touch exactly what they affect: ${title}`, () =>
    assert.is(after(start(...before), ...changes).touched, touched));
}

function tableOf(view: View, type: string): PolicyTable {
  const table = (view.get("m")?.policies ?? noPolicies)[type];
  if (table === undefined) throw new Error(`there is no type ${type}`);
  return table;
}

const names = (view: View, type: "TrafficPermission" | "ProxyTemplate", service: string) =>
  policiesFor(tableOf(view, type), service).map(({ name }) => name);

test("the policies of a service are those that name it or any service, sorted by name, without duplicates", () => {
  const view = start(
    permission("d", "redis", "*"),
    permission("b", "mysql"),
    permission("c", "*"),
    permission("a", "redis", { service: "redis", version: "1" }),
    permission("B", { version: "1" }),
    template("t"),
  );
  assert.equal(names(view, "TrafficPermission", "redis"), ["B", "a", "c", "d"]);
  assert.equal(names(view, "TrafficPermission", "mysql"), ["B", "b", "c", "d"]);
  assert.equal(names(view, "TrafficPermission", "other"), ["B", "c", "d"]);
  assert.equal(names(view, "TrafficPermission", "*"), ["B", "c", "d"]);
  assert.equal(names(view, "ProxyTemplate", "redis"), ["t"]);
});

test("a policy has its latest content, and is not listed under services that it named before", () => {
  const view = after(start(permission("p", "redis")), put({ ...permission("p", "mysql"), version: versionOf(2) })).view;
  assert.equal(names(view, "TrafficPermission", "redis"), []);
  const [found] = policiesFor(tableOf(view, "TrafficPermission"), "mysql");
  assert.is(found?.version, versionOf(2));
});

test("an authority is in the view of its mesh as long as it is stored", () => {
  const view = after(start(...on), put(authority)).view;
  assert.is(view.get("m")?.authority, authority);
  assert.is(after(view, gone(authority)).view.get("m")?.authority, undefined);
  assert.is(after(view, listing(...on)).view.get("m")?.authority, undefined);
});

test("a mesh is in the view as long as a policy or its authority exists, and no longer", () => {
  for (const last of [permission("p", "redis"), template("t"), authority]) {
    const view = start(meshRecord(), last);
    assert.is(view.has("m"), true);
    const bare = after(view, gone(meshRecord())).view;
    assert.is(bare.has("m"), true, last.type);
    assert.is(after(bare, gone(last)).view.has("m"), false, last.type);
  }
});

test("parts that a policy does not touch stay the same objects", () => {
  const view = start(meshRecord(), dataplane("d", {}), log("l", "redis"), permission("p", "redis"));
  const [before, now] = [view, after(view, put(permission("q", "redis"))).view].map((one) => one.get("m"));
  assert.is(now?.proxies, before?.proxies);
  assert.is(now?.services, before?.services);
  assert.is(now?.policies.TrafficLog, before?.policies.TrafficLog);
  assert.is.not(now?.policies.TrafficPermission, before?.policies.TrafficPermission);
});

test("after any series of changes each service has the policies that a listing of the same resources gives", () => {
  const services = ["redis", "mysql", "*", "web"];
  for (let run = 0; run < 100; run++) {
    const random = seeded(runSeed + run);
    const kept = new Map<string, Stored>();
    let view = emptyView;
    for (let step = 0; step < 30; step++) {
      const destinations = services.filter(() => random.chance(0.3));
      const name = random.pick(["a", "b", "c"]);
      const policy = random.chance(0.7) ? permission(name, ...destinations) : template(name, ...destinations);
      const id = `${policy.type} ${name}`;
      if (random.chance(0.3)) {
        kept.delete(id);
        view = after(view, gone(policy)).view;
      } else {
        kept.set(id, policy);
        view = after(view, put(policy)).view;
      }
      const fresh = start(...kept.values());
      for (const type of ["TrafficPermission", "ProxyTemplate"] as const) {
        for (const service of services) {
          assert.equal(names(view, type, service), names(fresh, type, service), `TEST_SEED=${runSeed}, run ${run}`);
        }
      }
      assert.is(view.has("m"), kept.size > 0);
    }
  }
});

test.run();
