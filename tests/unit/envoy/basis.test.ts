import * as assert from "uvu/assert";
import { type Generated, generate } from "../../../src/envoy/generate.js";
import { kinds } from "../../../src/envoy/resource.js";
import type { MeshView, ProxyView } from "../../../src/view/mesh-view.js";
import { noPolicies, type PolicyTable } from "../../../src/view/policies.js";
import { dataplane, meshRecord, meshViewOf, permission } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";

const test = suite("the inputs of a configuration");

const options = { connectTimeoutMs: 5000, secretServer: { target: "cp:5677", root: "root" } };

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

/** All resources as kind, name and version, which is a hash of the content. */
const versions = ({ config }: Generated) =>
  kinds.flatMap((kind) => [...config[kind].values()].map(({ name, version }) => `${kind} ${name} ${version}`)).sort();

const exempt: ReadonlySet<string> = new Set(["TrafficPermission"]);

for (const type of Object.keys(noPolicies)) {
  test(`${type}: a change regenerates the configuration, unless the type is exempt`, () => {
    const before = mesh();
    const proxy = proxyOf(before, "client-1");
    const made = generate(proxy, before, options);
    const after = {
      ...before,
      policies: { ...before.policies, [type]: { ...(before.policies[type] as PolicyTable) } },
    };
    assert.is(generate(proxy, after, options, undefined, made).basis !== made.basis, !exempt.has(type));
  });
}

test("after a change of permissions or endpoints the updated configuration equals a regenerated one", () => {
  const before = mesh();
  const changes = [mesh(8080, "nobody"), mesh(8081), mesh(8081, "nobody")];
  for (const after of changes) {
    for (const name of ["web-1", "client-1"]) {
      // The proxy's own Dataplane stays the same object if its content is equal.
      const proxy = name === "client-1" ? proxyOf(before, name) : proxyOf(after, name);
      const made = generate(proxyOf(before, name), before, options);
      const anew = generate(proxy, { ...after, resource: before.resource }, options);
      const policies = { ...before.policies, TrafficPermission: after.policies.TrafficPermission as PolicyTable };
      const renewed = generate(proxy, { ...after, resource: before.resource, policies }, options, undefined, made);
      assert.equal(versions(renewed), versions(anew), name);
      if (name === "client-1") assert.is(renewed.basis, made.basis);
    }
  }
});

test("a change of any other input regenerates the configuration, also if it is added or removed", () => {
  const view = mesh();
  const proxy = proxyOf(view, "client-1");
  const made = generate(proxy, view, options);
  const same = generate(proxy, view, { ...options }, undefined, made);
  assert.is(same.basis, made.basis);
  for (const other of [
    { ...options, connectTimeoutMs: 1 },
    { ...options, secretServer: { ...options.secretServer } },
    { ...options, ownServers: { at: () => undefined } },
  ]) {
    assert.is.not(generate(proxy, view, other, undefined, made).basis, made.basis);
    const back = generate(proxy, view, other);
    assert.is.not(generate(proxy, view, options, undefined, back).basis, back.basis);
  }
});

test.run();
