import path from "node:path";
import * as assert from "uvu/assert";
import { golden } from "../../support/golden.js";
import { generateCase, goldenCases, storedConfigs } from "../../support/golden-envoy.js";
import { suite } from "../../support/suite.js";

const test = suite("golden Envoy configurations");

const told = new Set<string>();

for (const name of goldenCases) {
  test(name, () => {
    for (const [proxy, config] of generateCase(name)) {
      const file = path.join(name, `${proxy}.json`);
      told.add(file);
      const { actual, expected } = golden(path.join("envoy", file), `${JSON.stringify(config, null, 2)}\n`);
      assert.is(actual, expected);
    }
  });
}

test("there is no golden file for a proxy that is in no case", () => {
  assert.equal(
    [...storedConfigs().keys()].filter((file) => !told.has(file)),
    [],
  );
});

test.run();
