import * as assert from "uvu/assert";
import type { ConfigJson } from "../../support/envoy-json.js";
import { generateCase, goldenCases } from "../../support/golden-envoy.js";
import { suite } from "../../support/suite.js";

const test = suite("Envoys started by an older release");

/** The fields that revision 1 added, anywhere in a resource. */
const added = new Set([
  "circuitBreakers",
  "upstreamConnectionOptions",
  "socketOptions",
  "idleTimeout",
  "initialFetchTimeout",
  "enforcingSuccessRate",
  "updateMergeWindow",
  "grpc.http2.max_pings_without_data",
]);

const without = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(without);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => !added.has(key));
  return Object.fromEntries(kept.map(([key, child]) => [key, without(child)]));
};

/** The names of all fields in a value. */
function* fieldsOf(value: unknown): Generator<string> {
  if (typeof value !== "object" || value === null) return;
  for (const [key, child] of Object.entries(value)) {
    yield key;
    yield* fieldsOf(child);
  }
}

/** Raw resources come from users, and may have any of these fields. */
const ours = goldenCases.filter((name) => !name.startsWith("template"));

test("get the configuration that their own release generated, without later fields", () => {
  const seen = new Set<string>();
  for (const name of ours) {
    const old = generateCase(name, 0);
    const present = generateCase(name, 1);
    for (const [proxy, config] of present) {
      for (const field of fieldsOf(config)) if (added.has(field)) seen.add(field);
      assert.equal(old.get(proxy), without(config) as ConfigJson, `${name}, ${proxy}`);
    }
  }
  assert.equal([...seen].sort(), [...added].sort(), "each addition is in one of the cases");
});

test.run();
