import * as assert from "uvu/assert";
import { type Generated, generate } from "../../../src/envoy/generate.js";
import { kinds } from "../../../src/envoy/resource.js";
import type { MeshView, ProxyView } from "../../../src/view/mesh-view.js";
import { noPolicies, type PolicyTable } from "../../../src/view/policies.js";
import { dataplane, meshRecord, meshViewOf, permission } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";

const test = suite("what a configuration was made from");

const surroundings = { connectTimeoutMs: 5000, secretServer: { target: "cp:5677", root: "root" } };

const web = (port: number) =>
  dataplane("web-1", { inbound: [{ interface: `10.0.0.1:${port}:80`, tags: { service: "web" } }] });
const client = dataplane("client-1", {
  inbound: [{ interface: "10.0.0.2:90:91", tags: { service: "client" } }],
  outbound: [{ interface: ":10000", service: "web" }],
});
const allowing = (service: string) =>
  permission("p", {
    rules: [{ sources: [{ match: { service } }], destinations: [{ match: { service: "web" } }] }],
  });
const mesh = (port = 8080, allowed = "client"): MeshView =>
  meshViewOf(meshRecord(true), web(port), client, allowing(allowed));

function proxyOf(view: MeshView, name: string): ProxyView {
  const proxy = view.proxies.get(name);
  if (proxy === undefined) throw new Error(`there is no ${name}`);
  return proxy;
}

/** Every resource by its kind, name and version, which is a hash of its content. */
const versions = ({ config }: Generated) =>
  kinds.flatMap((kind) => [...config[kind].values()].map(({ name, version }) => `${kind} ${name} ${version}`)).sort();

const exempt: ReadonlySet<string> = new Set(["TrafficPermission"]);

for (const type of Object.keys(noPolicies)) {
  test(`${type}: a change makes it anew, unless it is taken into what was made`, () => {
    const before = mesh();
    const proxy = proxyOf(before, "client-1");
    const made = generate(proxy, before, surroundings);
    const after = {
      ...before,
      policies: { ...before.policies, [type]: { ...(before.policies[type] as PolicyTable) } },
    };
    assert.is(generate(proxy, after, surroundings, undefined, made).basis !== made.basis, !exempt.has(type));
  });
}

test("a change of permissions or of endpoints is taken in as if all were made anew", () => {
  const before = mesh();
  const changes = [mesh(8080, "nobody"), mesh(8081), mesh(8081, "nobody")];
  for (const after of changes) {
    for (const name of ["web-1", "client-1"]) {
      // The proxy's own Dataplane stays the object that it was where it says the same.
      const proxy = name === "client-1" ? proxyOf(before, name) : proxyOf(after, name);
      const made = generate(proxyOf(before, name), before, surroundings);
      const anew = generate(proxy, { ...after, resource: before.resource }, surroundings);
      const policies = { ...before.policies, TrafficPermission: after.policies.TrafficPermission as PolicyTable };
      const renewed = generate(proxy, { ...after, resource: before.resource, policies }, surroundings, undefined, made);
      assert.equal(versions(renewed), versions(anew), name);
      if (name === "client-1") assert.is(renewed.basis, made.basis);
    }
  }
});

test("whatever else it depends on makes it anew, also what comes or goes", () => {
  const view = mesh();
  const proxy = proxyOf(view, "client-1");
  const made = generate(proxy, view, surroundings);
  const same = generate(proxy, view, { ...surroundings }, undefined, made);
  assert.is(same.basis, made.basis);
  for (const other of [
    { ...surroundings, connectTimeoutMs: 1 },
    { ...surroundings, secretServer: { ...surroundings.secretServer } },
    { ...surroundings, ownServers: { at: () => undefined } },
  ]) {
    assert.is.not(generate(proxy, view, other, undefined, made).basis, made.basis);
    const back = generate(proxy, view, other);
    assert.is.not(generate(proxy, view, surroundings, undefined, back).basis, back.basis);
  }
});

test.run();
