import { fromBinary } from "@bufbuild/protobuf";
import * as assert from "uvu/assert";
import { ClusterSchema } from "../../../proto-gen/es/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "../../../proto-gen/es/envoy/config/listener/v3/listener_pb.js";
import { policyEffect } from "../../../src/envoy/effects/effect.js";
import { policyEffects } from "../../../src/envoy/effects/effects.js";
import { createGenerator, type Generated, generate } from "../../../src/envoy/generate.js";
import { listenerKinds } from "../../../src/envoy/listener-kinds/listener-kinds.js";
import { kinds } from "../../../src/envoy/resource.js";
import { dataplaneCandidates } from "../../../src/policy/dataplane-candidates.js";
import { dataplanePolicies } from "../../../src/policy/dataplane-policies.js";
import { candidates } from "../../../src/policy/matching.js";
import { grantsOf } from "../../../src/policy/permissions.js";
import { type PolicyLevel, policyType } from "../../../src/resources/policy-type.js";
import { policyTypes } from "../../../src/resources/registry.js";
import { uint32 } from "../../../src/resources/scalars.js";
import { object } from "../../../src/resources/schema.js";
import { selectorsSchema } from "../../../src/resources/selector.js";
import type { Stored } from "../../../src/store/store.js";
import { apply, emptyView, type TouchedMeshes } from "../../../src/view/apply.js";
import type { MeshView, ProxyView } from "../../../src/view/mesh-view.js";
import { emptyPolicies } from "../../../src/view/policies.js";
import { echoListener } from "../../support/echo-listener.js";
import { dataplane, meshRecord, permission, stored } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";

const test = suite("policy and listener kinds defined only in this file");

const schema = object({ sources: selectorsSchema, destinations: selectorsSchema, conf: object({ most: uint32() }) });
const limitType = <const Name extends string, const Level extends PolicyLevel>(name: Name, level: Level) =>
  policyType({
    name,
    path: name.toLowerCase(),
    schema,
    policy: { rules: (spec) => [spec], level, combine: "one", field: `${name}s`, sentence: () => name },
  });

const types = {
  inbound: limitType("InboundLimit", "inbound"),
  destination: limitType("ClusterLimit", "destination"),
  dataplane: limitType("DataplaneLimit", "dataplane"),
  idle: limitType("Idle", "inbound"),
};
const effects = [
  ...policyEffects,
  policyEffect(types.inbound, {
    inbound: {
      parametersOf: (table, tags) => grantsOf(table, tags)[0]?.conf,
      addTo({ tcpProxy }, { most }) {
        tcpProxy.maxDownstreamConnectionDuration = { seconds: BigInt(most ?? 0) };
      },
    },
  }),
  policyEffect(types.destination, {
    cluster: {
      parametersOf: (table, service, { proxy }) => candidates(table, proxy.inbounds, service)[0]?.conf,
      addTo({ init }, { most }) {
        init.connectTimeout = { seconds: BigInt(most ?? 0) };
      },
    },
  }),
  policyEffect(types.dataplane, {
    config(table, { config, proxy }, addGenerated) {
      addGenerated();
      const most = dataplaneCandidates(table, proxy.inbounds)[0]?.policy.spec.conf?.most ?? Number.POSITIVE_INFINITY;
      for (const name of [...config.lds.keys()].slice(most)) config.lds.delete(name);
    },
  }),
];

const match = (service: string) => [{ match: { service } }];
const limit = (type: keyof typeof types, most: number, version = 1): Stored => ({
  ...stored(types[type].name, "l", { sources: match("*"), destinations: match("web"), conf: { most } }),
  version: stored("Mesh", "m", {}, version).version,
});
const web = dataplane("web-1", {
  inbound: [
    { interface: "10.0.0.1:8080:80", tags: { service: "web" } },
    { interface: "10.0.0.1:8081:81", tags: { service: "web", protocol: "echo" } },
  ],
  outbound: [{ interface: ":10000", service: "web" }],
});
const allowing = (service: string) => permission("p", { sources: match(service), destinations: match("web") });

const options = { connectTimeoutMs: 5000, secretServer: { target: "cp:5677", root: "root" } };
const none = emptyPolicies([...policyTypes, ...Object.values(types)]);
const make = createGenerator(effects, [echoListener, ...listenerKinds]);

/** The view with these resources, which the test can change one by one. */
function mesh(...resources: readonly Stored[]) {
  const change = { kind: "listing", sequence: 1, resources: [meshRecord(true), web, ...resources] } as const;
  let view = apply(emptyView, change, new Map(), none);
  const current = (): { readonly mesh: MeshView; readonly proxy: ProxyView } => {
    const found = view.get("m");
    const proxy = found?.proxies.get("web-1");
    if (found === undefined || proxy === undefined) throw new Error("there is no web-1");
    return { mesh: found, proxy };
  };
  return {
    current,
    made: (before?: Generated) => make(current().proxy, current().mesh, options, undefined, before),
    put(resource: Stored) {
      const touched: TouchedMeshes = new Map();
      view = apply(view, { kind: "put", sequence: 2, resource }, touched, none);
      return touched.get("m");
    },
  };
}

/** All resources as kind, name and version, which is a hash of the content. */
const versions = ({ config }: Generated) =>
  kinds.flatMap((kind) => [...config[kind].values()].map(({ name, version }) => `${kind} ${name} ${version}`)).sort();

const bytesOf = ({ config }: Generated, kind: "cds" | "lds", name: string) => {
  const resource = config[kind].get(name);
  if (resource === undefined) throw new Error(`there is no ${name}`);
  return resource.bytes;
};

test("inbound policies and permissions update an existing configuration, for every listener kind", () => {
  const { made, put } = mesh(allowing("web"), limit("inbound", 3));
  let before = made();
  for (const change of [allowing("other"), limit("inbound", 5), allowing("*"), limit("inbound", 7)]) {
    put(change);
    const renewed = made(before);
    assert.is(renewed.basis, before.basis, change.type);
    assert.equal(versions(renewed), versions(made()));
    assert.not.equal(versions(renewed), versions(before));
    before = renewed;
  }
  const [plain, echo] = ["inbound:10.0.0.1:8080", "inbound:10.0.0.1:8081"].map((name) =>
    fromBinary(ListenerSchema, bytesOf(before, "lds", name)).filterChains[0]?.filters.map((filter) => filter.name),
  );
  assert.equal(plain, ["envoy.filters.network.rbac", "envoy.filters.network.tcp_proxy"]);
  assert.equal(echo, ["envoy.filters.network.rbac", "envoy.filters.network.echo"]);
});

test("any other policy regenerates a configuration, even one without an effect", () => {
  for (const type of ["destination", "dataplane", "idle"] as const) {
    const { made, put } = mesh(limit(type, 1));
    const before = made();
    put(limit(type, 2));
    assert.is.not(made(before).basis, before.basis, type);
  }
});

test("a destination policy changes the clusters of a service, a dataplane policy wraps the whole generation", () => {
  const { made, put } = mesh(limit("destination", 7));
  assert.is(fromBinary(ClusterSchema, bytesOf(made(), "cds", "web")).connectTimeout?.seconds, 7n);
  assert.is(made().config.lds.size, 3);
  put(limit("dataplane", 1));
  assert.is(made().config.lds.size, 1);
});

test("the proxies that a change affects follow from the policy's level", () => {
  const touched = (type: keyof typeof types) => {
    const { upstreams, inboundServices } = mesh().put(limit(type, 1)) ?? {};
    return [upstreams, inboundServices].map((names) => [...(names ?? [])].join());
  };
  assert.equal(touched("inbound"), ["", "web"]);
  assert.equal(touched("dataplane"), ["", "web"]);
  assert.equal(touched("destination"), ["web", ""]);
});

test("inspect has a field for each type where it matches", () => {
  const { current } = mesh(limit("inbound", 1), limit("destination", 1), limit("dataplane", 1));
  const policies = dataplanePolicies(current().mesh, current().proxy);
  const row = { applies: true, reason: "only" };
  const pair = { source: { service: "*" }, destination: { service: "web" } };
  assert.equal(Reflect.get(policies.inbounds[0] ?? {}, "InboundLimits"), [{ name: "l", ...pair, ...row }]);
  assert.equal(Reflect.get(policies.outbounds[0]?.shares[0] ?? {}, "ClusterLimits"), [{ name: "l", ...pair, ...row }]);
  assert.equal(Reflect.get(policies, "DataplaneLimits"), [{ name: "l", selector: { service: "web" }, ...row }]);
});

test("without them the configuration equals the default one", () => {
  const { current, made } = mesh(allowing("web"));
  const { config } = generate(current().proxy, current().mesh, options);
  assert.is(config.cds.get("web"), made().config.cds.get("web"));
  assert.is(config.lds.get("inbound:10.0.0.1:8080"), made().config.lds.get("inbound:10.0.0.1:8080"));
  assert.is.not(config.lds.get("inbound:10.0.0.1:8081"), made().config.lds.get("inbound:10.0.0.1:8081"));
});

test("the type checker rejects an effect whose parameters a cache key can't represent", () => {
  const parametersOf = () => new Map([["a", 1]]);
  // @ts-expect-error a map
  policyEffect(types.idle, { cluster: { parametersOf, addTo() {} } });
  policyEffect(types.idle, { cluster: { parametersOf: () => ({ a: 1 }), addTo() {} } });
});

test.run();
