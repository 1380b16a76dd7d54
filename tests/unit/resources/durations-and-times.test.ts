import * as assert from "uvu/assert";
import { normalDuration } from "../../../src/resources/duration.js";
import { normalTimestamp } from "../../../src/resources/timestamp.js";
import { suite } from "../../support/suite.js";

const test = suite("durations and times");

const durations: readonly [text: string, normal: string | undefined][] = [
  ["10s", "10s"],
  ["0s", "0s"],
  ["0", "0s"],
  ["0.5s", "0.500s"],
  [".5s", "0.500s"],
  ["5.s", "5s"],
  ["1.000001s", "1.000001s"],
  ["1.0000000019s", "1.000000001s"],
  ["300ms", "0.300s"],
  ["1m30s", "90s"],
  ["1.5h", "5400s"],
  ["2us", "0.000002s"],
  ["2µs", "0.000002s"],
  ["1ns", "0.000000001s"],
  ["-2.5s", "-2.500s"],
  ["+2s", "2s"],
  ["315576000000s", "315576000000s"],
  ["315576000000.000000001s", "315576000000.000000001s"],
  ["", undefined],
  ["s", undefined],
  [".s", undefined],
  ["-", undefined],
  ["10", undefined],
  ["10 s", undefined],
  ["10S", undefined],
  ["1d", undefined],
  ["1e3s", undefined],
  ["1s1", undefined],
  ["--1s", undefined],
  [`${"1".repeat(100)}s`, undefined],
];

for (const [text, normal] of durations) {
  test(`duration "${text.slice(0, 30)}" is ${normal ?? "none"}`, () => {
    assert.is(normalDuration(text), normal);
    if (normal !== undefined) assert.is(normalDuration(normal), normal);
  });
}

test("a duration beyond protobuf's range stays as written", () => {
  assert.is(normalDuration("99999999h99999999h99999999h"), "99999999h99999999h99999999h");
  assert.is(normalDuration("315576000000000ms"), "315576000000s");
  assert.is(normalDuration("315576000000001ms"), "315576000000001ms");
  assert.is(normalDuration("-315576000000001ms"), "-315576000000001ms");
});

const times: readonly [text: string, normal: string | undefined][] = [
  ["2019-10-24T14:04:56.820350Z", "2019-10-24T14:04:56.820350Z"],
  ["2019-10-24T14:04:56Z", "2019-10-24T14:04:56Z"],
  ["2019-10-24T14:04:56.0Z", "2019-10-24T14:04:56Z"],
  ["2019-10-24T14:04:56.8Z", "2019-10-24T14:04:56.800Z"],
  ["2019-10-24T14:04:56.123456789Z", "2019-10-24T14:04:56.123456789Z"],
  ["2019-10-24t14:04:56z", "2019-10-24T14:04:56Z"],
  ["2019-10-24T14:04:56+02:00", "2019-10-24T12:04:56Z"],
  ["2019-10-24T14:04:56.5-00:30", "2019-10-24T14:34:56.500Z"],
  ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"],
  ["9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"],
  ["0001-01-01T00:00:00+01:00", undefined],
  ["9999-12-31T23:59:59-01:00", undefined],
  ["0000-01-01T00:00:00Z", undefined],
  ["2019-02-29T00:00:00Z", undefined],
  ["2019-13-01T00:00:00Z", undefined],
  ["2019-10-24T24:00:00Z", undefined],
  ["2019-10-24T14:04:60Z", undefined],
  ["2019-10-24T14:04:56", undefined],
  ["2019-10-24 14:04:56Z", undefined],
  ["2019-10-24T14:04:56.Z", undefined],
  ["2019-10-24T14:04:56+24:00", undefined],
  ["", undefined],
];

for (const [text, normal] of times) {
  test(`time "${text}" is ${normal ?? "none"}`, () => {
    assert.is(normalTimestamp(text), normal);
    if (normal !== undefined) assert.is(normalTimestamp(normal), normal);
  });
}

test.run();
