import * as assert from "uvu/assert";
import { describeDifference, differences } from "../../../src/ctl/diff.js";
import { suite } from "../../support/suite.js";

const test = suite("what a dry run shows");

function shown(before: unknown, after: unknown): string[] {
  return differences(before, after).map(describeDifference);
}

test("equal values have no differences, whatever the order of their keys", () => {
  assert.equal(shown({ a: [1, { b: 2, c: null }] }, { a: [1, { c: null, b: 2 }] }), []);
});

test("changes, additions and removals are distinguished, by path", () => {
  assert.equal(shown({ a: { b: 1, gone: {} }, l: [1, 2] }, { a: { b: 2, "new key": [] }, l: [1] }), [
    "~ a.b: 1 → 2",
    "- a.gone: {}",
    '+ a["new key"]: []',
    "- l[1]: 2",
  ]);
});

test("a value of another kind is one change", () => {
  assert.equal(shown({ a: [1] }, { a: { b: 1 } }), ['~ a: [1] → {"b":1}']);
  assert.equal(shown({ a: {} }, { a: "x" }), ['~ a: {} → "x"']);
  assert.equal(shown({ a: null }, { a: {} }), ["~ a: null → {}"]);
});

test.run();
