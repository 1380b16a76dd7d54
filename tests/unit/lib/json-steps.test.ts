import * as assert from "uvu/assert";
import { BeyondBounds, type JsonBounds, parseJsonInSteps } from "../../../src/lib/json-steps.js";
import { finish } from "../../../src/lib/steps.js";
import { suite } from "../../support/suite.js";

const test = suite("JSON that is read in steps");

const bounds: JsonBounds = { deepest: 20, elements: 1000, members: 1000, values: 10_000 };
const parse = (text: string, more: Partial<JsonBounds> = {}) => finish(parseJsonInSteps(text, { ...bounds, ...more }));

function outcome(read: () => unknown): string {
  try {
    return `value ${JSON.stringify(read())}`;
  } catch (error) {
    return error instanceof SyntaxError ? "no JSON" : String(error);
  }
}

/** Fragments of generated texts, valid and invalid. */
const fragments = [
  ...'[]{},:"\\ \n\t0123456789-+.eEaà\u0000\u2028',
  ...'true false null "a" "__proto__" "\\u0041" "\\ud800" "\\\\" "\\"" 1e5 -0 01 1. .5 1e400 {} [] [1,2] {"a":1} ,"b":'.split(
    " ",
  ),
];

test("has the result of JSON.parse, whatever the text", () => {
  let seed = 12_345;
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % below;
  };
  let valid = 0;
  const compare = (text: string) => {
    const expected = outcome(() => JSON.parse(text));
    if (expected !== "no JSON") valid += 1;
    assert.is(
      outcome(() => parse(text)),
      expected,
      text,
    );
  };
  for (let count = 0; count < 30_000; count++) {
    compare(Array.from({ length: 1 + random(6) }, () => fragments[random(fragments.length)]).join(""));
  }
  const value = (depth: number): string => {
    const kind = depth > 4 ? 2 + random(3) : random(5);
    if (kind === 0) return `[${Array.from({ length: random(4) }, () => value(depth + 1)).join(" , ")}]`;
    if (kind === 1)
      return `{${Array.from({ length: random(4) }, () => `"${"abc"[random(3)]}" : ${value(depth + 1)}`).join(",")}}`;
    return ["1.5e-3", "-0", '"\\\\\\""', "null", '"x"'][random(5)] ?? "0";
  };
  for (let count = 0; count < 3_000; count++) {
    const text = value(0);
    compare(text);
    const at = random(text.length + 1);
    compare(text.slice(0, at) + (fragments[random(fragments.length)] ?? "") + text.slice(at + random(2)));
  }
  assert.ok(valid > 5_000, `${valid} valid texts`);
});

test("keeps a key named __proto__", () => {
  const read = parse('{"__proto__":{"polluted":1},"a":{"constructor":2}}') as Record<string, unknown>;
  assert.ok(Object.hasOwn(read, "__proto__"));
  assert.is(({} as { polluted?: unknown }).polluted, undefined);
});

test("is rejected beyond its limits, with the path, before the rest is read", () => {
  const rejected = (text: string, more: Partial<JsonBounds> = {}) => {
    try {
      parse(text, more);
    } catch (error) {
      if (error instanceof BeyondBounds) return error.message;
      throw error;
    }
    return "taken";
  };
  assert.match(rejected("[".repeat(400_000)), /nested deeper than 20 levels/);
  const wide = `{"rules":[{"a":1},{"conf":{${Array.from({ length: 1001 }, (_, index) => `"k${index}":1`)}`;
  assert.is(rejected(wide), "rules[1].conf: an object has too many members: 1000 at most are taken");
  assert.is(
    rejected(`{"a":{"b c":[${"1,".repeat(1001)}`),
    'a["b c"]: a list has too many elements: 1000 at most are taken',
  );
  assert.match(rejected(`[${"[1,2,3],".repeat(900)}1]`, { values: 2000 }), /too many values in one body: 2000/);
  assert.is(rejected(`[${"1,".repeat(999)}1]`), "taken");
});

test("takes many steps", () => {
  const steps = parseJsonInSteps(`[${"[1,2,3],".repeat(900)}1]`, bounds);
  let count = 0;
  while (steps.next().done !== true) count += 1;
  assert.ok(count >= 14, `${count} steps`);
});

test.run();
