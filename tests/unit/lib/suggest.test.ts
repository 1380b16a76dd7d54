import * as assert from "uvu/assert";
import { nearest } from "../../../src/lib/suggest.js";
import { suite } from "../../support/suite.js";

const test = suite("suggest");

test("a typo finds its word", () => {
  assert.is(nearest("loging", ["mtls", "logging", "tracing"]), "logging");
  assert.is(nearest("aplpy", ["apply", "delete"]), "apply");
  assert.is(nearest("--mehs", ["--mesh", "--name"]), "--mesh");
});

test("case, dashes and underscores don't count", () => {
  assert.is(nearest("TRAFFIC_LOGS", ["traffic-logs", "traffic-routes"]), "traffic-logs");
  assert.is(nearest("apiserver", ["apiServer"]), "apiServer");
});

test("the closest of several wins, the first of equals", () => {
  assert.is(nearest("dataplan", ["dataplanes", "dataplane"]), "dataplane");
  assert.is(nearest("bat", ["cat", "hat"]), "cat");
});

test("a different word is not suggested", () => {
  assert.is(nearest("xyzzy", ["mesh", "name"]), undefined);
  assert.is(nearest("ab", ["xy"]), undefined);
  assert.is(nearest("a", ["b"]), undefined);
  assert.is(nearest("", ["b"]), undefined);
  assert.is(nearest("x".repeat(100_000), ["mesh"]), undefined);
});

test.run();
