import * as assert from "uvu/assert";
import { createDefaulter } from "../../../src/kubernetes/admission/defaulter.js";
import { createValidator, type ValidatorOptions } from "../../../src/kubernetes/admission/validator.js";
import type { AdmissionRequest, Verdict } from "../../../src/kubernetes/admission-review.js";
import { meshType } from "../../../src/resources/mesh.js";
import { registry } from "../../../src/resources/registry.js";
import { suite } from "../../support/suite.js";
import { stage } from "../cp/stage.js";

const test = suite("the admission webhooks of kuma-cp");

interface Parts extends Partial<Omit<AdmissionRequest, "kind" | "userInfo">> {
  readonly user?: string;
}

function request(kind: string, parts: Parts = {}): AdmissionRequest {
  const { user = "alice", ...given } = parts;
  return {
    uid: "u",
    operation: "CREATE",
    kind: { group: "kuma.io", version: "v1alpha1", kind },
    subResource: "",
    name: "one",
    namespace: kind === "Mesh" ? "" : "demo",
    dryRun: false,
    userInfo: { username: user, groups: [] },
    object: {},
    oldObject: undefined,
    ...given,
  };
}

const own = "system:serviceaccount:kuma-system:kuma-control-plane";

const validator = (options: Partial<ValidatorOptions> = {}) =>
  createValidator({
    registry,
    checks: new Map(),
    effects: async () => [],
    meshExists: async () => true,
    ownUser: async () => own,
    ...options,
  });
const validate = validator();

function deniedBy(verdict: Verdict) {
  if (verdict.allowed) throw new Error(`allowed: ${JSON.stringify(verdict)}`);
  return verdict;
}

function warningsOf(verdict: Verdict) {
  if (!verdict.allowed) throw new Error(verdict.message);
  return verdict.warnings ?? [];
}

const everyone = [{ match: { service: "*" } }];
const permission = { rules: [{ sources: everyone, destinations: everyone }] };

const invalid: readonly (readonly [kind: string, path: string, spec: Record<string, unknown>])[] = [
  ["TrafficPermission", "traffic-permissions", { rules: [{ destinations: everyone }] }],
  ["TrafficPermission", "traffic-permissions", { rules: 7 }],
  ["TrafficLog", "traffic-logs", { rules: [{ sources: everyone, destinations: [{ match: { service: "" } }] }] }],
  ["Dataplane", "dataplanes", { networking: { inbound: [{ interface: "bad", tags: { service: "web" } }] } }],
  ["Dataplane", "dataplanes", {}],
  ["Dataplane", "dataplanes", { networking: { inbound: { interface: "x" } } }],
  ["ProxyTemplate", "proxy-templates", { selectors: [], imports: ["no-such-profile"] }],
  ["TrafficRoute", "traffic-routes", {}],
  ["HealthCheck", "health-checks", {}],
];

for (const [kind, path, spec] of invalid) {
  test(`an invalid ${kind} is denied with the causes of the HTTP API: ${JSON.stringify(spec).slice(0, 50)}`, async () => {
    const api = await stage();
    const answer = await api.put(`/meshes/default/${path}/one`, { type: kind, mesh: "default", name: "one", ...spec });
    assert.is(answer.status, 400);
    const { causes } = answer.json as { causes: { field: string; message: string }[] };
    const verdict = deniedBy(await validate(request(kind, { object: { mesh: "default", spec } })));
    assert.is(verdict.code, 422);
    assert.equal(verdict.causes, causes);
    assert.is(verdict.message, causes.map(({ field, message }) => `${field}: ${message}`).join("; "));
  });
}

test("an invalid Mesh is denied with the causes of the HTTP API", async () => {
  const spec = { logging: { defaultBackend: "x", backends: [{ name: "" }] } };
  const api = await stage();
  const answer = await api.put("/meshes/one", { type: "Mesh", name: "one", ...spec });
  const { causes } = answer.json as { causes: unknown[] };
  assert.equal(deniedBy(await validate(request("Mesh", { object: { spec } }))).causes, causes);
});

test("valid objects pass, also without a spec, as updates, and from other namespaces", async () => {
  const passes = async (kind: string, parts: Parts) =>
    assert.equal(warningsOf(await validate(request(kind, parts))), []);
  await passes("TrafficPermission", { object: { mesh: "default", spec: permission } });
  await passes("TrafficPermission", { object: { spec: permission } });
  await passes("Mesh", { object: {} });
  await passes("Mesh", { object: { spec: null } });
  await passes("TrafficPermission", { operation: "UPDATE", object: { spec: permission }, oldObject: { spec: {} } });
});

test("an update to something invalid is denied, one that leaves an invalid resource as it is passes", async () => {
  const bad = { rules: [{ destinations: everyone }] };
  const update = (spec: unknown, old: unknown) =>
    validate(request("TrafficPermission", { operation: "UPDATE", object: { spec }, oldObject: { spec: old } }));
  assert.is(deniedBy(await update(bad, permission)).code, 422);
  assert.is((await update(bad, bad)).allowed, true);
  assert.is((await update(permission, bad)).allowed, true);
});

test("a deletion passes", async () => {
  assert.is((await validate(request("Dataplane", { operation: "DELETE", object: undefined }))).allowed, true);
  assert.is((await validate(request("Unknown", { operation: "DELETE", object: undefined }))).allowed, true);
});

test("an unknown kind, group or version is denied with 400", async () => {
  assert.is(deniedBy(await validate(request("Unknown"))).code, 400);
  assert.is(deniedBy(await validate(request("Secret"))).code, 400);
  assert.is(deniedBy(await validate(request("constructor"))).code, 400);
  const mesh = request("Mesh");
  assert.is(deniedBy(await validate({ ...mesh, kind: { ...mesh.kind, group: "example.com" } })).code, 400);
  assert.is(deniedBy(await validate({ ...mesh, kind: { ...mesh.kind, version: "v2" } })).code, 400);
});

test("each unknown field is a warning with its path and the nearest name, and no denial", async () => {
  const spec = { ...permission, rulez: [], confg: 1 };
  const warnings = warningsOf(await validate(request("TrafficPermission", { object: { spec } })));
  assert.is(warnings[0], 'spec.rulez: unknown field, did you mean "rules"?');
  assert.match(warnings[1] ?? "", "spec.confg: unknown field");
  const long = { ...permission, [`x${"y".repeat(300)}`]: 1 };
  const [warning = ""] = warningsOf(await validate(request("TrafficPermission", { object: { spec: long } })));
  assert.ok(warning.length <= 120, warning);
});

test("what is valid and odd is a warning: parts without effect, effects of the change, a mesh that does not exist", async () => {
  const seen: unknown[] = [];
  const told = validator({
    meshExists: async (mesh) => mesh !== "later",
    effects: async (change) => {
      seen.push(change);
      return ["an effect"];
    },
  });
  const mesh = warningsOf(await told(request("Mesh", { object: { spec: { tracing: { zipkin: {} } } } })));
  assert.equal(mesh, ['"tracing" has no effect in this version', "an effect"]);
  const object = { mesh: "later", spec: permission };
  const policy = await told(request("TrafficPermission", { operation: "UPDATE", object, oldObject: { spec: {} } }));
  assert.equal(warningsOf(policy), ['there is no Mesh "later" yet; until there is, this has no effect', "an effect"]);
  assert.equal(seen[1], {
    key: { type: "TrafficPermission", mesh: "later", name: "one.demo" },
    spec: permission,
    before: {},
  });
});

test("a store that is away costs warnings, not the write", async () => {
  const away = validator({
    effects: async () => {
      throw new Error("away");
    },
  });
  assert.equal(warningsOf(await away(request("TrafficPermission", { object: { spec: permission } }))), []);
});

test("checks beyond the type's own deny, too", async () => {
  const causes = [{ field: "x", message: "is not possible here" }];
  const strict = validator({ checks: new Map([["TrafficPermission", async () => causes]]) });
  const verdict = deniedBy(await strict(request("TrafficPermission", { object: { spec: permission } })));
  assert.equal([verdict.message, verdict.causes], ["x: is not possible here", causes]);
});

test("a Mesh needs the name of a DNS label, and an object a mesh name that the HTTP API accepts", async () => {
  const mesh = (name: string, parts: Parts = {}) => validate(request("Mesh", { name, ...parts }));
  for (const name of ["a", "default", "m-2", "x".repeat(63)]) assert.is((await mesh(name)).allowed, true, name);
  for (const name of ["a.b", "-a", "a-", "x".repeat(64), "A", "a_b"]) {
    assert.is(deniedBy(await mesh(name)).causes?.[0]?.field, "metadata.name", name);
  }
  assert.is((await mesh("a.b", { operation: "UPDATE", object: { spec: {} }, oldObject: {} })).allowed, true);
  const generated = { name: "", object: { metadata: { generateName: "a.b-" } } };
  assert.is(deniedBy(await validate(request("Mesh", generated))).code, 422);
  const policy = (of: unknown) => validate(request("TrafficPermission", { object: { mesh: of, spec: permission } }));
  for (const of of [undefined, null, "", "pilot"]) assert.is((await policy(of)).allowed, true);
  for (const of of ["a.b", "A", 7, {}]) assert.is(deniedBy(await policy(of)).causes?.[0]?.field, "mesh");
});

test("only the control plane writes the status of a Dataplane; others may change its metadata", async () => {
  const status = { subscriptions: [{ id: "1" }] };
  const insight = (parts: Parts) => validate(request("DataplaneInsight", { object: { status }, ...parts }));
  const verdict = deniedBy(await insight({}));
  assert.is(verdict.code, 403);
  assert.match(verdict.message, own);
  assert.is((await insight({ user: own })).allowed, true);
  assert.is(deniedBy(await insight({ operation: "UPDATE", oldObject: { status: {} } })).code, 403);
  assert.is((await insight({ operation: "UPDATE", oldObject: { status } })).allowed, true);
  assert.is(deniedBy(await insight({ operation: "UPDATE", oldObject: { status, mesh: "other" } })).code, 403);
  assert.is((await insight({ operation: "DELETE", object: undefined })).allowed, true);
});

test("a large object is validated like a small one", async () => {
  const rules = Array.from({ length: 2_000 }, () => ({ sources: everyone, destinations: everyone }));
  const of = (spec: unknown) => validate(request("TrafficPermission", { object: { spec } }));
  assert.is((await of({ rules })).allowed, true);
  const verdict = deniedBy(await of({ rules: rules.map(({ sources }) => ({ sources })) }));
  assert.match(verdict.message, /and \d+ more problems like these$/);
  assert.is(verdict.causes?.length, 50);
  assert.is(deniedBy(await of({ rules: Array.from({ length: 20_000 }, () => rules[0]) })).code, 422);
});

const defaulter = createDefaulter(meshType);
const builtin = { builtin: {} };
const patchOf = (object: unknown, operation: AdmissionRequest["operation"] = "CREATE") => {
  const verdict = defaulter(request("Mesh", { object, operation }));
  if (!verdict.allowed) throw new Error(verdict.message);
  return verdict.patch ?? [];
};

test("a Mesh without a certificate authority gets the built-in one, and nothing else", () => {
  const add = (path: string, value: unknown) => [{ op: "add", path, value }];
  assert.equal(patchOf({}), add("/spec", { mtls: { ca: builtin } }));
  assert.equal(patchOf({ spec: null }), add("/spec", { mtls: { ca: builtin } }));
  assert.equal(patchOf({ spec: {} }), add("/spec/mtls", { ca: builtin }));
  assert.equal(patchOf({ spec: { mtls: null } }), add("/spec/mtls", { ca: builtin }));
  assert.equal(patchOf({ spec: { mtls: { enabled: true }, own: 1 } }), add("/spec/mtls/ca", builtin));
  assert.equal(patchOf({ spec: { mtls: { enabled: false, ca: {} } } }), add("/spec/mtls/ca/builtin", {}));
});

test("a Mesh that has one, one that can't be decoded, and a deletion are left alone", () => {
  assert.equal(patchOf({ spec: { mtls: { ca: builtin } } }), []);
  assert.equal(patchOf({ spec: { mtls: { ca: { provided: {} } } } }), []);
  assert.equal(patchOf({ spec: { mtls: "on" } }), []);
  assert.equal(patchOf({ spec: [] }), []);
  assert.equal(patchOf(undefined, "DELETE"), []);
});

test.run();
