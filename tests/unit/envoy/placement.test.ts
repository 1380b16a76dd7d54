import * as assert from "uvu/assert";
import { bootstrapRevision, createPlacement } from "../../../src/envoy/placement.js";
import { suite } from "../../support/suite.js";

const test = suite("a proxy's placement");

test("has a different key when any field differs, and the same key otherwise", () => {
  const where = { tokenPath: "token", controlPlaneHost: "10.0.0.1", logDirectories: ["/var/log", "/tmp"] };
  const said = { ...where, bootstrapRevision: 1 };
  const others = [
    { ...said, tokenPath: "other" },
    { ...said, tokenPath: undefined },
    { ...said, controlPlaneHost: "10.0.0.2" },
    { ...said, controlPlaneHost: undefined },
    { ...said, logDirectories: ["/var/log"] },
    { ...said, bootstrapRevision: 0 },
  ];
  const keys = [said, ...others].map((one) => createPlacement(one).key);
  assert.is(new Set(keys).size, keys.length);
  assert.is(createPlacement({ ...said, logDirectories: ["/tmp", "/var/log", "/tmp"] }).key, keys[0]);
});

test("has revision 0 if the node has none, as for Envoys of older releases", () => {
  const { bootstrapRevision: revision, key } = createPlacement({ tokenPath: "token" });
  assert.is(revision, 0);
  assert.is(createPlacement({ tokenPath: "token", bootstrapRevision: 0 }).key, key);
});

test("has a revision known to this release, whatever number the node has", () => {
  const revisions = [Number.NaN, -1, -0, 0.9, 1, 1.5, bootstrapRevision + 1, 1e300, Number.POSITIVE_INFINITY].map(
    (said) => createPlacement({ bootstrapRevision: said }).bootstrapRevision,
  );
  assert.equal(revisions, [0, 0, 0, 0, 1, 1, bootstrapRevision, bootstrapRevision, bootstrapRevision]);
});

test("has no control plane host if the node's is invalid, and normalises IPv6 addresses", () => {
  const hostOf = (controlPlaneHost: string) => createPlacement({ controlPlaneHost }).controlPlaneHost;
  const none = ["", "0.0.0.0", "::", "10.0.0.1:5678", "http://cp.example", "fe80::1%eth0", "unix:/run/sds", "a b"];
  for (const host of [...none, "a".repeat(254)]) assert.is(hostOf(host), undefined, host);
  assert.is(createPlacement({ controlPlaneHost: "a b" }).key, createPlacement({}).key);
  assert.equal(["cp.example", "10.0.0.1", "[fd00::1]"].map(hostOf), ["cp.example", "10.0.0.1", "fd00::1"]);
  assert.is(
    createPlacement({ controlPlaneHost: "[fd00::1]" }).key,
    createPlacement({ controlPlaneHost: "fd00::1" }).key,
  );
});

test.run();
