import * as assert from "uvu/assert";
import { bootstrapRevision, createPlacement } from "../../../src/envoy/placement.js";
import { suite } from "../../support/suite.js";

const test = suite("what a proxy says of itself");

test("has another key when anything in it differs, and the same when nothing does", () => {
  const said = { tokenPath: "token", logDirectories: ["/var/log", "/tmp"], bootstrapRevision: 1 };
  const others = [
    { ...said, tokenPath: "other" },
    { ...said, tokenPath: undefined },
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

test.run();
