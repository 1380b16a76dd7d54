import * as assert from "uvu/assert";
import { formatDuration, parseDuration } from "../../../src/lib/durations.js";
import { suite } from "../../support/suite.js";

const test = suite("durations");

test("Go's syntax is accepted", () => {
  const cases: [string, number][] = [
    ["0", 0],
    ["300ms", 300],
    ["1s", 1000],
    ["1.5s", 1500],
    [".5s", 500],
    ["1m30s", 90_000],
    ["720h", 2_592_000_000],
    ["1h0m0.5s", 3_600_500],
    ["-2s", -2000],
    ["+2s", 2000],
    ["1500us", 1.5],
    ["2µs", 0.002],
  ];
  for (const [text, expected] of cases) assert.is(parseDuration(text), expected, text);
});

test("anything else is rejected with the value and an example", () => {
  for (const text of ["", "-", "10", "1 s", "s", "1d", "1s ", "x1s", "1ss", "1.s.s", "١s"]) {
    assert.throws(
      () => parseDuration(text),
      (error: Error) => error.message.includes(`"${text}"`) && error.message.includes("1m30s"),
      text,
    );
  }
});

test("durations are shown in Go's format, truncated to seconds", () => {
  const cases: [number, string][] = [
    [0, "0s"],
    [999, "0s"],
    [45_900, "45s"],
    [240_000, "4m0s"],
    [7_384_000, "2h3m4s"],
    [180_001_000, "50h0m1s"],
    [-45_000, "-45s"],
  ];
  for (const [milliseconds, expected] of cases) assert.is(formatDuration(milliseconds), expected);
});

test.run();
