import * as assert from "uvu/assert";
import { parseQuantity } from "../../../src/lib/quantity.js";
import { suite } from "../../support/suite.js";

const test = suite("Kubernetes quantities");

test("are numbers with a decimal or binary suffix, or an exponent", () => {
  for (const [text, value] of [
    ["0", 0],
    ["50m", 0.05],
    ["1000m", 1],
    [".5", 0.5],
    ["2.", 2],
    ["64Mi", 64 * 1024 * 1024],
    ["50M", 50_000_000],
    ["1e3", 1000],
    ["1E3", 1000],
    ["2E", 2e18],
    ["-1Ki", -1024],
  ] as const) {
    assert.is(Math.abs((parseQuantity(text) ?? Number.NaN) - value) <= Math.abs(value) * 1e-12, true, text);
  }
});

test("are nothing else", () => {
  for (const text of ["", "Mi", "64 Mi", "64MB", "64mi", "0x10", "1e", "1.2.3", "∞", "64Mi\n"]) {
    assert.is(parseQuantity(text), undefined, text);
  }
});

test.run();
