import * as assert from "uvu/assert";
import { openValidator } from "../support/envoy-validation.js";
import { storedConfigs } from "../support/golden-envoy.js";
import { suite } from "../support/suite.js";

const test = suite("the golden configurations, loaded by Envoy", { needs: "envoy" });

const validator = openValidator();
test.after(() => validator.close());

test("each one is accepted without a warning", async () => {
  assert.equal([...(await validator.objections(storedConfigs()))], []);
});

test.run();
