import * as assert from "uvu/assert";
import { bootstrapRevision, createPlacement } from "../../../src/envoy/placement.js";
import { suite } from "../../support/suite.js";

const test = suite("what a proxy says of itself");

test("has another key when anything in it differs, and the same when nothing does", () => {
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

test("is of revision 0 unless it says another, as Envoys of older releases don't", () => {
  const { bootstrapRevision: revision, key } = createPlacement({ tokenPath: "token" });
  assert.is(revision, 0);
  assert.is(createPlacement({ tokenPath: "token", bootstrapRevision: 0 }).key, key);
});

test("is of a revision that this release knows, whatever number it says", () => {
  const revisions = [Number.NaN, -1, -0, 0.9, 1, 1.5, bootstrapRevision + 1, 1e300, Number.POSITIVE_INFINITY].map(
    (said) => createPlacement({ bootstrapRevision: said }).bootstrapRevision,
  );
  assert.equal(revisions, [0, 0, 0, 0, 1, 1, bootstrapRevision, bootstrapRevision, bootstrapRevision]);
});

test("has no host of the control plane when what it says is none, and one form of an IPv6 address", () => {
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
