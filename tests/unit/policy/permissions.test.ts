import * as assert from "uvu/assert";
import { RBAC_Action } from "../../../proto-gen/es/envoy/config/rbac/v3/rbac_pb.js";
import type { RBAC } from "../../../proto-gen/es/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import { generate } from "../../../src/envoy/generate.js";
import { grantsOf, permitted } from "../../../src/policy/permissions.js";
import { type TrafficPermission, trafficPermissionType } from "../../../src/resources/traffic-permission.js";
import type { MeshView } from "../../../src/view/mesh-view.js";
import { tableOf } from "../../../src/view/policies.js";
import { dataplane, meshRecord, meshViewOf, permission } from "../../support/mesh-view.js";
import { type Random, runSeed, seeded } from "../../support/random.js";
import { suite } from "../../support/suite.js";
import { acceptedNames, downstreamTls, rbac, readListener } from "../../support/tls-decoding.js";

const test = suite("traffic permissions");

type Tags = Readonly<Record<string, string>>;

/** Selectors in short form: a text is a service. */
const selectors = (...all: (string | Tags | undefined)[]) =>
  all.map((tags) => (tags === undefined ? {} : { match: typeof tags === "string" ? { service: tags } : tags }));
const rule = (sources: (string | Tags | undefined)[], destinations: (string | Tags | undefined)[]) => ({
  sources: selectors(...sources),
  destinations: selectors(...destinations),
});
const flat = rule;
const rules = (...all: ReturnType<typeof rule>[]): TrafficPermission => ({ rules: all });

const redis: Tags = { service: "redis", version: "1", env: "dev" };

/** Permissions, what they allow to the inbound above, or to several inbounds of one listener. */
const cases: readonly (readonly [
  title: string,
  specs: readonly TrafficPermission[],
  allowed: "anyone" | readonly string[],
  inbounds?: readonly Tags[],
])[] = [
  ["no permission: no service", [], []],
  ["the flat form", [flat(["web"], ["redis"])], ["web"]],
  ["the form with rules", [rules(rule(["web"], ["redis"]))], ["web"]],
  ["both in one", [{ ...flat(["web"], ["redis"]), ...rules(rule(["api"], ["redis"])) }], ["api", "web"]],
  [
    "all rules of all permissions",
    [rules(rule(["c"], ["redis"]), rule(["a"], ["redis"])), flat(["b"], ["*"])],
    ["a", "b", "c"],
  ],
  ["a rule for another service", [flat(["web"], ["mysql"])], []],
  ["one of several destinations", [flat(["web"], ["mysql", "redis"])], ["web"]],
  [
    "several sources: sorted, without duplicates",
    [flat(["web", "api", "web"], ["redis", "redis"]), flat(["api"], ["redis"])],
    ["api", "web"],
  ],
  ["any source", [flat(["*"], ["redis"])], "anyone"],
  ["any source beside named ones", [flat(["web", "*", "api"], ["redis"])], "anyone"],
  ["any source for another service", [flat(["*"], ["mysql"]), flat(["web"], ["redis"])], ["web"]],
  ["any source with tags, which are not enforced", [flat([{ service: "*", version: "1" }], ["redis"])], "anyone"],
  ["any destination", [flat(["web"], ["*"])], ["web"]],
  ["a destination without tags means all", [flat(["web"], [undefined])], ["web"]],
  ["and so does an empty match", [flat(["web"], [{}])], ["web"]],
  ["a destination's tag", [flat(["web"], [{ service: "redis", version: "1" }])], ["web"]],
  ["a destination's tag of another value", [flat(["web"], [{ service: "redis", version: "2" }])], []],
  ["a destination's tag of any value", [flat(["web"], [{ service: "redis", env: "*" }])], ["web"]],
  [
    "a destination's tag that the inbound lacks, even of any value",
    [flat(["web"], [{ service: "redis", zone: "*" }])],
    [],
  ],
  ["a destination without service", [flat(["web"], [{ env: "dev" }])], ["web"]],
  [
    "a destination's tag with the name of an inherited property",
    [flat(["web"], [{ service: "redis", constructor: "*" } as Tags])],
    [],
  ],
  ["sources' tags besides the service", [flat([{ service: "web", version: "9" }], ["redis"])], ["web"]],
  ["a source without service matches none", [flat([{ version: "1" }], ["redis"])], []],
  ["and so does one with an empty match or none", [flat([{}, undefined], ["redis"])], []],
  ["a source with an empty service matches none", [flat([{ service: "" }], ["redis"])], []],
  ["such a source does not affect the others", [flat([{}, "web", { version: "1" }], ["redis"])], ["web"]],
  [
    "a rule without sources",
    [{ destinations: selectors("redis") }, { rules: [{ destinations: selectors("redis") }] }],
    [],
  ],
  [
    "a rule without destinations",
    [{ sources: selectors("web") }, { rules: [{ sources: selectors("web"), destinations: [] }] }],
    [],
  ],
  ["a service with the name of an inherited property", [flat(["constructor"], ["redis"])], ["constructor"]],
  [
    "two services on one listener: the union",
    [flat(["web"], ["redis"]), flat(["api"], ["mysql"]), flat(["no"], ["other"])],
    ["api", "web"],
    [redis, { service: "mysql" }],
  ],
  [
    "tags of two services on one listener don't add up",
    [flat(["web"], [{ service: "mysql", version: "1" }])],
    [],
    [redis, { service: "mysql" }],
  ],
  ["any source for one of them", [flat(["*"], ["mysql"])], "anyone", [redis, { service: "mysql" }]],
];

for (const [title, specs, allowed, inbounds = [redis]] of cases) {
  test(`${title}: ${allowed === "anyone" ? allowed : `[${allowed}]`}`, () => {
    const { policies } = meshViewOf(...specs.map((spec, index) => permission(`p-${index}`, spec)), meshRecord());
    const expected = allowed === "anyone" ? { kind: allowed } : { kind: "services", services: allowed };
    assert.equal(permitted(tableOf(policies, trafficPermissionType), inbounds), expected);
  });
}

test("every rule that allows a service is listed once, with the selectors that match", () => {
  const { policies } = meshViewOf(
    permission("b", flat(["*"], ["*"])),
    permission("a", {
      ...flat([{ service: "web", version: "9" }, "web", "api"], ["mysql", "redis"]),
      ...rules(rule(["no"], ["mysql"]), rule(["web"], [{ env: "dev" }])),
    }),
    meshRecord(),
  );
  const dev = { service: "redis-2", env: "dev" };
  const found = grantsOf(tableOf(policies, trafficPermissionType), [redis, dev]).map(
    ({ policy, index, service, source, destination }) => [`${policy.name} ${index} ${service}`, source, destination],
  );
  assert.equal(found, [
    ["a 0 web", { service: "web", version: "9" }, { service: "redis" }],
    ["a 0 web", { service: "web" }, { service: "redis" }],
    ["a 0 api", { service: "api" }, { service: "redis" }],
    ["a 2 web", { service: "web" }, { env: "dev" }],
    ["b 0 *", { service: "*" }, { service: "*" }],
  ]);
});

const services = ["web", "web-2", "we", "api", "api.v1", "a:80", "constructor"];
const otherTags = { version: ["1", "2"], env: ["dev"], constructor: ["x"] };

function tagsOf(random: Random, service: string): Tags {
  const more = Object.entries(otherTags).filter(() => random.chance(0.4));
  return Object.fromEntries([
    ["service", service],
    ...more.map(([key, values]) => [key, random.pick(values)] as const),
  ]);
}

function selector(random: Random): { readonly match?: Tags } {
  if (random.chance(0.05)) return random.chance(0.5) ? {} : { match: {} };
  const tags: Record<string, string> = random.chance(0.93)
    ? { service: random.chance(0.12) ? "*" : random.pick(services) }
    : {};
  for (const [key, values] of Object.entries(otherTags)) {
    if (random.chance(0.15)) tags[key] = random.chance(0.4) ? "*" : random.pick(values);
  }
  return { match: tags };
}

function permissionOf(random: Random): TrafficPermission {
  const some = () => Array.from({ length: random.below(4) }, () => selector(random));
  const one = () => ({
    ...(random.chance(0.95) ? { sources: some() } : {}),
    ...(random.chance(0.95) ? { destinations: some() } : {}),
  });
  return {
    ...(random.chance(0.4) ? one() : {}),
    ...(random.chance(0.7) ? { rules: Array.from({ length: random.below(3) }, one) } : {}),
  };
}

/** Proxies with up to three inbounds, some of which share a listener. */
function proxiesOf(random: Random) {
  return Array.from({ length: 1 + random.below(2) }, (_, index) =>
    dataplane(`d-${index}`, {
      inbound: Array.from({ length: 1 + random.below(3) }, () => {
        const port = 9000 + random.below(3);
        return { interface: `127.0.0.1:${port}:80`, tags: tagsOf(random, random.pick(services)) };
      }),
    }),
  );
}

/** Section 4.6 of the specification, for one client and the inbounds of one listener. */
function mayPass(client: readonly string[], inbounds: readonly Tags[], permissions: readonly TrafficPermission[]) {
  for (const { sources, destinations, rules: written = [] } of permissions) {
    for (const one of [{ sources, destinations }, ...written]) {
      const applies = one.destinations?.some(({ match }) =>
        inbounds.some((tags) =>
          Object.entries(match ?? {}).every(
            ([key, value]) =>
              Object.entries(tags).find(([known]) => known === key)?.[1] === value ||
              (value === "*" && Object.keys(tags).includes(key)),
          ),
        ),
      );
      if (applies !== true) continue;
      for (const { match } of one.sources ?? []) {
        const service = Object.entries(match ?? {}).find(([key]) => key === "service")?.[1];
        if (service === "*" || (service !== undefined && client.includes(service))) return true;
      }
    }
  }
  return false;
}

/** Whether the handshake accepts a certificate with these URIs; an empty list would accept every one. */
function handshakes(names: readonly string[] | undefined, uris: readonly string[]): boolean {
  if (names === undefined) return true;
  return names.some((text) => {
    const [type, kind, name = ""] = text.split(" ");
    if (type !== "URI") return false;
    return uris.some((uri) => (kind === "prefix" ? uri.startsWith(name) : kind === "exact" && uri === name));
  });
}

/** Whether the filter allows a peer with these URIs, as Envoy evaluates it. */
function passesFilter({ rules: enforced }: RBAC, uris: readonly string[]): boolean {
  if (enforced === undefined) return true;
  return Object.values(enforced.policies).some(
    ({ permissions, principals }) =>
      permissions.some(({ rule: what }) => what.case === "any" && what.value) &&
      principals.some(({ identifier }) => {
        if (identifier.case === "any") return identifier.value;
        if (identifier.case !== "authenticated") throw new Error(`principal ${identifier.case}`);
        const pattern = identifier.value.principalName?.matchPattern;
        return pattern?.case === "exact" && uris.includes(pattern.value);
      }),
  );
}

const options = { connectTimeoutMs: 5000, secretServer: { target: "cp:5677", root: "root" } };

function listenersOf(mesh: MeshView) {
  return [...mesh.proxies.values()].flatMap((proxy) =>
    [...generate(proxy, mesh, options).config.lds.values()].map((listener) => ({
      listener,
      inbounds: proxy.inbounds
        .filter(({ address, port }) => listener.name === `inbound:${address}:${port}`)
        .map(({ tags }) => tags),
    })),
  );
}

/** Equivalent permissions: in another order, with other names, split into single pairs, some of them twice. */
function reworded(specs: readonly TrafficPermission[], random: Random): TrafficPermission[] {
  const pairs = specs.flatMap(({ rules: written = [], ...own }) =>
    [own, ...written].flatMap(({ sources = [], destinations = [] }) =>
      sources.flatMap((source) => destinations.map((destination) => ({ source, destination }))),
    ),
  );
  const said = [...pairs, ...pairs.filter(() => random.chance(0.3))]
    .map((pair) => ({ pair, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ pair: { source, destination } }) => ({ sources: [source], destinations: [destination] }));
  const out: TrafficPermission[] = [];
  while (said.length > 0) {
    const [first] = said;
    if (random.chance(0.3) && first !== undefined) {
      said.shift();
      out.push(first);
    } else out.push({ rules: said.splice(0, 1 + random.below(3)) });
  }
  return out;
}

test("in 2,500 meshes the handshake and the filter allow exactly the clients that the specification allows", () => {
  const random = seeded(runSeed);
  const seen = { allowed: 0, denied: 0, anyone: 0, nobody: 0, shared: 0, listed: 0 };
  const clients = [...services.map((service) => [service]), ["web", "api"], ["we", "a:80"], ["stranger"]];
  const foreign = ["spiffe://n/web", "spiffe://m2/web", "spiffe://m", "spiffe://n/spiffe://m/web", "urn:kuma:nobody/"];
  for (let round = 0; round < 2500; round++) {
    const place = `TEST_SEED=${runSeed}, mesh ${round}`;
    const specs = Array.from({ length: random.below(5) }, () => permissionOf(random));
    const proxies = proxiesOf(random);
    const view = (all: readonly TrafficPermission[], prefix = "p") =>
      meshViewOf(meshRecord(), ...proxies, ...all.map((spec, index) => permission(`${prefix}-${index}`, spec)));
    const listeners = listenersOf(view(specs));

    for (const { listener, inbounds } of listeners) {
      const message = readListener(listener);
      const names = acceptedNames(downstreamTls(message)?.commonTlsContext);
      const filter = rbac(message);
      assert.ok(names !== undefined && filter?.rules !== undefined, `both are there, ${place}`);
      assert.is(filter.rules.action, RBAC_Action.ALLOW);
      const policies = Object.entries(filter.rules.policies);
      assert.ok(policies.length <= 1 && policies.every(([key]) => key === "allow"), place);
      assert.ok(
        policies.every(([, { principals }]) => principals.length > 0),
        `Envoy takes no empty list, ${place}`,
      );
      for (const client of clients) {
        const uris = client.map((service) => `spiffe://m/${service}`);
        const expected = mayPass(client, inbounds, specs);
        const what = `${client} to ${listener.name}, ${place}`;
        assert.is(handshakes(names, uris), expected, `handshake of ${what}`);
        assert.is(passesFilter(filter, uris), expected, `filter of ${what}`);
        seen[expected ? "allowed" : "denied"] += 1;
      }
      for (const uri of foreign) assert.not.ok(handshakes(names, [uri]), `${uri}, ${place}`);
      if (names.some((name) => name.startsWith("URI prefix"))) seen.anyone += 1;
      else if (policies.length === 0) seen.nobody += 1;
      else seen.listed += 1;
      if (inbounds.length > 1) seen.shared += 1;
    }

    const again = listenersOf(view(reworded(specs, random), `renamed-${random.below(10)}`));
    assert.equal(
      again.map(({ listener }) => Buffer.from(listener.bytes).toString("base64")),
      listeners.map(({ listener }) => Buffer.from(listener.bytes).toString("base64")),
      place,
    );
  }
  // Guards against a generator of trivial meshes.
  for (const [what, count] of Object.entries(seen)) assert.ok(count > 300, `${what}: ${count}, TEST_SEED=${runSeed}`);
});

test.run();
