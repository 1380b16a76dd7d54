import * as assert from "uvu/assert";
import type { Delivered, Observations } from "../../../src/policy/explain/observations.js";
import { combineOutcomes } from "../../../src/policy/explain/outcome.js";
import { explainTraffic } from "../../../src/policy/explain/traffic.js";
import type { Stored } from "../../../src/store/store.js";
import { dataplane, meshRecord, meshViewOf, permission, stored } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";

const test = suite("explain traffic");

type Tags = Readonly<Record<string, string>>;

const now = new Date("2026-10-01T10:00:00Z");
const later = new Date("2026-10-31T10:00:00Z");
const earlier = new Date("2026-09-30T10:00:00Z");

/** The differences from a mesh without problems. */
interface Oddities {
  readonly offline?: readonly string[];
  readonly certificates?: Readonly<
    Record<string, { readonly notAfter?: Date; readonly services?: readonly string[]; readonly refusal?: string }>
  >;
  readonly listeners?: Readonly<Record<string, Delivered>>;
}

function observations({ offline = [], certificates = {}, listeners = {} }: Oddities = {}): Observations {
  const listener = (name: string): Delivered => listeners[name] ?? { state: "acknowledged" };
  return {
    now,
    proxy: (name) => ({
      online: !offline.includes(name),
      notAfter: name in certificates ? certificates[name]?.notAfter : later,
      services: certificates[name]?.services,
      refusal: certificates[name]?.refusal,
    }),
    inbound: (name) => listener(name),
    outbound: (name) => listener(name),
  };
}

let next = 0;
/** A dataplane with an inbound for each set of tags and an outbound for each service. */
function proxy(name: string, tags: Tags | readonly Tags[], outbounds: readonly string[] = []): Stored {
  const all = Array.isArray(tags) ? (tags as readonly Tags[]) : [tags as Tags];
  const address = `10.0.0.${++next % 250}`;
  return dataplane(name, {
    inbound: all.map((own, index) => ({ interface: `${address}:${9000 + index}:80`, tags: own })),
    outbound: outbounds.map((service, index) => ({ interface: `:${10_000 + index}`, service })),
  });
}

const match = (...all: readonly (string | Tags)[]) =>
  all.map((tags) => ({ match: typeof tags === "string" ? { service: tags } : tags }));
const permit = (name: string, source: string | Tags, destination: string | Tags) =>
  permission(name, { rules: [{ sources: match(source), destinations: match(destination) }] });
const route = (name: string, ...shares: readonly (readonly [weight: number, destination: Tags])[]) =>
  stored("TrafficRoute", name, {
    sources: match("web"),
    destinations: match("redis"),
    conf: shares.map(([weight, destination]) => ({ weight, destination })),
  });

const web = proxy("web-1", { service: "web" }, ["redis"]);
const redis1 = proxy("redis-1", { service: "redis", version: "1" });
const redis2 = proxy("redis-2", { service: "redis", version: "2" });
const mysql = proxy("mysql-1", { service: "mysql" });
const allowed = permit("web-to-redis", "web", "redis");

/**
 * A mesh, its peculiarities, and the explanation of traffic from web to redis: verdict, outcome, problems, permissions.
 */
const cases: readonly (readonly [
  title: string,
  resources: readonly Stored[],
  verdict: string,
  connects: string,
  problems: string,
  permissions: string,
  oddities?: Oddities,
])[] = [
  ["allowed", [web, redis1, allowed], "allowed", "always", "", "web-to-redis"],
  ["no permission", [web, redis1], "denied", "never", "not-permitted", ""],
  ["allowed by several", [web, redis1, allowed, permit("all", "*", "*")], "allowed", "always", "", "all web-to-redis"],
  [
    "allowed to some instances",
    [web, redis1, redis2, permit("v1", "web", { service: "redis", version: "1" })],
    "partial",
    "sometimes",
    "not-permitted",
    "v1",
  ],
  [
    "allowed to instances that do not exist",
    [web, redis2, permit("v1", "web", { service: "redis", version: "1" })],
    "denied",
    "never",
    "not-permitted",
    "v1(other-tags)",
  ],
  [
    "allowed as another service of the same dataplane",
    [proxy("web-1", [{ service: "web" }, { service: "api" }], ["redis"]), redis1, permit("api", "api", "redis")],
    "allowed",
    "always",
    "",
    "api(as api)",
  ],
  [
    "no outbound",
    [proxy("web-1", { service: "web" }), redis1, allowed],
    "allowed",
    "never",
    "no-outbound",
    "web-to-redis",
  ],
  [
    "one of two without an outbound",
    [web, proxy("web-2", { service: "web" }), redis1, allowed],
    "allowed",
    "sometimes",
    "no-outbound",
    "web-to-redis",
  ],
  [
    "no dataplane of web",
    [proxy("x-1", { service: "x" }, ["web", "redis"]), redis1, allowed],
    "allowed",
    "never",
    "no-source",
    "web-to-redis",
  ],
  ["no dataplane of redis", [web, allowed], "allowed", "never", "no-endpoint", "web-to-redis"],
  [
    "no dataplane of either, and no permission",
    [proxy("x-1", { service: "x" }, ["web", "redis"])],
    "denied",
    "never",
    "not-permitted no-source no-endpoint",
    "",
  ],
  [
    "the source is offline",
    [web, redis1, allowed],
    "allowed",
    "never",
    "offline",
    "web-to-redis",
    { offline: ["web-1"] },
  ],
  [
    "the destination is offline",
    [web, redis1, allowed],
    "allowed",
    "never",
    "offline",
    "web-to-redis",
    { offline: ["redis-1"] },
  ],
  [
    "one of two is offline",
    [web, redis1, redis2, allowed],
    "allowed",
    "sometimes",
    "offline",
    "web-to-redis",
    { offline: ["redis-1"] },
  ],
  [
    "no certificate",
    [web, redis1, allowed],
    "allowed",
    "never",
    "certificate-missing",
    "web-to-redis",
    { certificates: { "web-1": { refusal: "the token is invalid" } } },
  ],
  [
    "an expired certificate",
    [web, redis1, allowed],
    "allowed",
    "never",
    "certificate-expired",
    "web-to-redis",
    { certificates: { "redis-1": { notAfter: earlier } } },
  ],
  [
    "the next certificate was refused",
    [web, redis1, allowed],
    "allowed",
    "always",
    "certificate-refused",
    "web-to-redis",
    { certificates: { "redis-1": { notAfter: later, refusal: "the token has expired" } } },
  ],
  [
    "a certificate for other services",
    [web, redis1, allowed],
    "allowed",
    "always",
    "certificate-outdated",
    "web-to-redis",
    {
      certificates: {
        "redis-1": { notAfter: later, services: ["mysql"] },
        "web-1": { notAfter: later, services: ["web"] },
      },
    },
  ],
  [
    "Envoy rejects its listener",
    [web, redis1, allowed],
    "allowed",
    "never",
    "refused",
    "web-to-redis",
    { listeners: { "redis-1": { state: "refused", reason: "cannot bind" } } },
  ],
  [
    "Envoy rejects a change of its listener",
    [web, redis1, allowed],
    "allowed",
    "always",
    "refused",
    "web-to-redis",
    { listeners: { "web-1": { state: "refused", reason: "no", earlier: true } } },
  ],
  [
    "Envoy has not acknowledged it yet",
    [web, redis1, allowed],
    "allowed",
    "always",
    "pending",
    "web-to-redis",
    { listeners: { "web-1": { state: "pending" }, "redis-1": { state: "pending" } } },
  ],
  [
    "it is connected to another control plane",
    [web, redis1, allowed],
    "allowed",
    "always",
    "",
    "web-to-redis",
    { listeners: { "web-1": { state: "unknown" } } },
  ],
  [
    "a ProxyTemplate omits the listener",
    [web, redis1, allowed],
    "allowed",
    "never",
    "no-listener",
    "web-to-redis",
    { listeners: { "web-1": { state: "absent" } } },
  ],
  [
    "a ProxyTemplate overrides the listener",
    [web, redis1, allowed],
    "allowed",
    "always",
    "raw",
    "web-to-redis",
    { listeners: { "web-1": { state: "acknowledged", raw: true } } },
  ],
  [
    "a route to another service",
    [web, redis1, mysql, route("r", [1, { service: "mysql" }]), allowed],
    "denied",
    "never",
    "not-permitted elsewhere",
    "",
  ],
  [
    "a route to another service that is allowed",
    [web, redis1, mysql, route("r", [1, { service: "mysql" }]), permit("m", "web", "mysql")],
    "allowed",
    "always",
    "elsewhere",
    "m",
  ],
  [
    "a route without destinations",
    [web, redis1, route("r", [0, { service: "redis" }]), allowed],
    "allowed",
    "never",
    "nowhere",
    "web-to-redis",
  ],
  [
    "a route to some instances",
    [web, redis1, redis2, route("r", [1, { service: "redis", version: "2" }]), allowed],
    "allowed",
    "always",
    "",
    "web-to-redis",
  ],
  [
    "a route partly to a service without instances",
    [
      web,
      redis1,
      route("r", [9, { service: "redis", version: "1" }], [1, { service: "redis", version: "3" }]),
      allowed,
    ],
    "allowed",
    "sometimes",
    "no-endpoint",
    "web-to-redis",
  ],
  [
    "an interface that can't be parsed",
    [
      web,
      dataplane("redis-1", {
        inbound: [
          { interface: "10.0.0.1:1:1", tags: { service: "redis" } },
          { interface: "x", tags: {} },
        ],
      }),
      allowed,
    ],
    "allowed",
    "never",
    "no-endpoint unusable",
    "web-to-redis",
  ],
  [
    "an inbound on 0.0.0.0 that an older version stored",
    [web, dataplane("redis-1", { inbound: [{ interface: "0.0.0.0:1:2", tags: { service: "redis" } }] }), allowed],
    "allowed",
    "never",
    "no-endpoint unreachable",
    "web-to-redis",
  ],
];

for (const [title, resources, verdict, connects, problems, permissions, oddities] of cases) {
  test(`${title}: ${verdict}, connections succeed ${connects}`, () => {
    const found = explainTraffic(
      meshViewOf(meshRecord(), ...resources),
      { from: "web", to: "redis" },
      observations(oddities),
    );
    assert.is(found.verdict, verdict);
    assert.is(found.withMtls, undefined);
    assert.is(found.connects, connects);
    assert.is(found.problems.map(({ code }) => code).join(" "), problems, JSON.stringify(found.problems));
    const named = found.permissions.map(({ name, as, applies, reason }) => {
      assert.is(applies, reason === "all-apply");
      return name + (as === undefined ? "" : `(as ${as})`) + (applies ? "" : `(${reason})`);
    });
    assert.is(named.join(" "), permissions);
  });
}

test("without mTLS everything is allowed, and the verdict of the permissions is shown separately", () => {
  const mesh = (...more: readonly Stored[]) => meshViewOf(meshRecord(false), web, redis1, ...more);
  const ask = (...more: readonly Stored[]) =>
    explainTraffic(mesh(...more), { from: "web", to: "redis" }, observations());
  const without = ask();
  assert.equal([without.verdict, without.withMtls, without.connects], ["allowed", "denied", "always"]);
  assert.equal(without.problems, []);
  assert.equal(
    without.advice.map(({ effect }) => effect),
    ["allow", "enforce"],
  );
  assert.is(without.sources[0]?.certificate, undefined);
  const permitted = ask(allowed);
  assert.equal([permitted.verdict, permitted.withMtls], ["allowed", "allowed"]);
  assert.is(permitted.permissions[0]?.reason, "mtls-off");
  assert.equal(
    permitted.advice.map(({ effect }) => effect),
    ["enforce"],
  );
});

test("advice is a permission to apply if one is missing, and one to delete if it allows nothing else", () => {
  const ask = (...more: readonly Stored[]) =>
    explainTraffic(
      meshViewOf(meshRecord(), web, redis1, redis2, mysql, ...more),
      { from: "web", to: "redis" },
      observations(),
    ).advice;
  const missing = {
    type: "TrafficPermission",
    mesh: "m",
    name: "web-to-redis",
    rules: [{ sources: match("web"), destinations: match("redis") }],
  };
  assert.equal(ask(), [{ effect: "allow", apply: missing }]);
  const taken = permit("web-to-redis", "x", "redis");
  assert.equal(ask(taken), [{ effect: "allow", apply: { ...missing, name: "web-to-redis-2" } }], "the name is taken");
  const permission = (name: string) => ({ type: "TrafficPermission", mesh: "m", name });
  const deletion = (name: string) => ({ effect: "deny", delete: permission(name) });
  const narrowing = (name: string) => ({ effect: "deny", narrow: permission(name) });
  assert.equal(ask(allowed), [deletion("web-to-redis")]);
  assert.equal(ask(permit("all", "web", "*")), [narrowing("all")]);
  assert.equal(ask(permit("v1", "web", { service: "redis", version: "1" })), [
    { effect: "allow", apply: missing },
    narrowing("v1"),
  ]);
  assert.equal(ask(route("r", [1, { service: "mysql" }])), [
    {
      effect: "allow",
      apply: {
        ...missing,
        name: "web-to-mysql",
        rules: [{ sources: match("web"), destinations: match("mysql") }],
      },
    },
  ]);
});

test("deleting what is proposed denies no other traffic", () => {
  const services = ["web", "redis", "mysql", "x"];
  const dataplanes = [
    proxy("web-1", { service: "web" }, services),
    proxy("x-1", { service: "x" }, services),
    redis1,
    redis2,
    mysql,
  ];
  const selectors = ["web", "x", "*", "redis"];
  let [deletions, narrowings] = [0, 0];
  for (const source of selectors) {
    for (const destination of [...selectors, { service: "redis", version: "1" }]) {
      for (const more of [[], [permit("other", "x", "redis")]]) {
        const resources = [meshRecord(), ...dataplanes, permit("p", source, destination), ...more];
        const verdict = (from: string, to: string, all: readonly Stored[] = resources) =>
          explainTraffic(meshViewOf(...all), { from, to }, observations());
        for (const one of verdict("web", "redis").advice) {
          if (one.narrow !== undefined) narrowings += 1;
          if (one.delete === undefined) continue;
          deletions += 1;
          const { name } = one.delete;
          const left = resources.filter((resource) => resource.type !== "TrafficPermission" || resource.name !== name);
          for (const from of services) {
            for (const to of services) {
              if (from === "web" && to === "redis") continue;
              assert.is(verdict(from, to, left).verdict, verdict(from, to).verdict, `${from} -> ${to} without ${name}`);
            }
          }
        }
      }
    }
  }
  assert.ok(deletions > 0 && narrowings > 0, "both come up");
});

test("the mesh to apply keeps its other fields", () => {
  const mesh = stored("Mesh", "m", { mtls: { ca: { builtin: {} } }, logging: { defaultBackend: "file" } });
  const { advice } = explainTraffic(
    meshViewOf(mesh, web, redis1, allowed),
    { from: "web", to: "redis" },
    observations(),
  );
  assert.equal(advice, [
    {
      effect: "enforce",
      apply: {
        type: "Mesh",
        name: "m",
        mtls: { enabled: true, ca: { builtin: {} } },
        logging: { defaultBackend: "file" },
      },
    },
  ]);
});

test("a name derived from services is valid", () => {
  const odd = proxy("a", { service: "Web.v1:80" }, ["redis"]);
  const view = meshViewOf(meshRecord(), odd, redis1);
  const { advice } = explainTraffic(view, { from: "Web.v1:80", to: "redis" }, observations());
  assert.is(advice[0]?.apply?.name, "web-v1-80-to-redis");
  const long = "x".repeat(255);
  const longer = explainTraffic(
    meshViewOf(meshRecord(), proxy("a", { service: long }, [long])),
    { from: long, to: long },
    observations(),
  );
  assert.is(String(longer.advice[0]?.apply?.name).length, 100);
});

test("dataplanes with the same policies share one route; others have their own", () => {
  const instances = Array.from({ length: 30 }, (_, index) =>
    proxy(`web-${index + 10}`, { service: "web", instance: `${index}`, ...(index < 3 ? { zone: "a" } : {}) }, [
      "redis",
    ]),
  );
  const inZone = stored("TrafficRoute", "zone-a", {
    sources: match({ service: "web", zone: "a" }),
    destinations: match("redis"),
    conf: [{ weight: 1, destination: { service: "redis", version: "1" } }],
  });
  const mesh = meshViewOf(meshRecord(), ...instances, redis1, redis2, inZone, allowed);
  const { routes, sources } = explainTraffic(mesh, { from: "web", to: "redis" }, observations());
  assert.is(sources.length, 30);
  assert.equal(
    routes.map(({ route, sources: own, destinations }) => [route?.name, own.length, destinations[0]?.endpoints.length]),
    [
      ["zone-a", 3, 1],
      [undefined, 27, 2],
    ],
  );
});

test("the combined outcome of several routes", () => {
  assert.is(combineOutcomes([]), "never");
  assert.is(combineOutcomes(["always", "always"]), "always");
  assert.is(combineOutcomes(["never"]), "never");
  assert.is(combineOutcomes(["always", "never"]), "sometimes");
  assert.is(combineOutcomes(["sometimes"]), "sometimes");
});

test.run();
