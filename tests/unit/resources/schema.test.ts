import * as assert from "uvu/assert";
import { finish } from "../../../src/lib/steps.js";
import { anyObject } from "../../../src/resources/any-object.js";
import { bytes, duration, flag, text, timestamp, uint32, uint64 } from "../../../src/resources/scalars.js";
import { decode, decodeInSteps, list, type Mode, map, object } from "../../../src/resources/schema.js";
import { suite } from "../../support/suite.js";
import { malformedMessage } from "./reading.js";

const test = suite("schema");

const inner = object({ text: text() });
const schema = object({
  text: text(),
  flag: flag(),
  small: uint32(),
  large: uint64(),
  aDuration: duration(),
  aTime: timestamp(),
  bytes: bytes(),
  inner,
  texts: list(text()),
  objects: list(inner),
  tags: map(text()),
  any: anyObject(),
});

const decoded = (input: unknown, mode: Mode = "strict") => decode(schema, input, mode).value;
const refused = (input: unknown) => malformedMessage(() => decode(schema, input, "strict"));

const normalForms: readonly [name: string, input: unknown, output: unknown][] = [
  ["nothing", {}, {}],
  ["null", { text: null, inner: null, texts: null, tags: null, small: null }, {}],
  ["default scalars", { text: "", flag: false, small: 0, large: "0", bytes: "" }, {}],
  ["zeros in other spellings", { small: "0", large: 0 }, {}],
  ["minus zero", { small: -0 }, {}],
  ["empty lists and maps", { texts: [], objects: [], tags: {} }, {}],
  ["objects that are empty", { inner: {}, any: {} }, { inner: {}, any: {} }],
  ["an object that has only defaults", { inner: { text: "" } }, { inner: {} }],
  ["default elements of a list", { texts: [""], objects: [{}] }, { texts: [""], objects: [{}] }],
  ["default values of a map", { tags: { a: "" } }, { tags: { a: "" } }],
  [
    "snake case",
    { a_duration: "1s", a_time: "2020-01-01T00:00:00Z" },
    { aDuration: "1s", aTime: "2020-01-01T00:00:00Z" },
  ],
  ["32-bit numbers as text", { small: "4294967295" }, { small: 4294967295 }],
  ["64-bit numbers", { large: 3 }, { large: "3" }],
  ["64-bit numbers as text", { large: "18446744073709551615" }, { large: "18446744073709551615" }],
  ["leading zeros", { large: "007" }, { large: "7" }],
  ["a zero duration", { aDuration: "0s" }, { aDuration: "0s" }],
  ["decimals of a duration", { aDuration: "1.50s" }, { aDuration: "1.500s" }],
  ["base64 of the other alphabet without padding", { bytes: "-_8" }, { bytes: "+/8=" }],
  ["anything in an open object", { any: { a: [1, null, { b: true }] } }, { any: { a: [1, null, { b: true }] } }],
];

for (const [name, input, output] of normalForms) {
  test(`${name} in normal form`, () => assert.equal(decoded(input), output));
}

test("fields are returned in the schema's order, map keys in their own", () => {
  assert.is(JSON.stringify(decoded({ tags: { z: "1", a: "2" }, text: "x" })), '{"text":"x","tags":{"z":"1","a":"2"}}');
});

const mismatches: readonly [input: unknown, message: string][] = [
  [null, "expected an object, got nothing (null)"],
  [undefined, "expected an object, got nothing (null)"],
  [[], "expected an object, got a list"],
  ["x", 'expected an object, got the text "x"'],
  [new Date(0), "expected an object, got an object"],
  [{ inner: 1 }, "inner: expected an object, got the number 1"],
  [{ inner: { text: [] } }, "inner.text: expected text, got a list"],
  [{ text: 1.1 }, "text: expected text, got the number 1.1; put the value in quotes"],
  [{ text: true }, "text: expected text, got true; put the value in quotes"],
  [{ text: {} }, "text: expected text, got an object"],
  [{ text: "\ud800" }, "text: the text is not valid Unicode"],
  [{ flag: "true" }, 'flag: expected true or false, got the text "true"; remove the quotes'],
  [{ flag: 1 }, "flag: expected true or false, got the number 1"],
  [{ small: -1 }, "small: expected a whole number from 0 to 4294967295, got the number -1"],
  [{ small: 4294967296 }, "small: expected a whole number from 0 to 4294967295, got the number 4294967296"],
  [{ small: 1.5 }, "small: expected a whole number from 0 to 4294967295, got the number 1.5"],
  [{ small: "1.5" }, 'small: expected a whole number from 0 to 4294967295, got the text "1.5"'],
  [{ small: "" }, 'small: expected a whole number from 0 to 4294967295, got the text ""'],
  [{ small: Number.NaN }, "small: expected a whole number from 0 to 4294967295, got the number NaN"],
  [
    { large: 2 ** 60 },
    "large: expected a whole number from 0 to 18446744073709551615, got the number 1152921504606847000; put the value in quotes",
  ],
  [
    { large: "18446744073709551616" },
    'large: expected a whole number from 0 to 18446744073709551615, got the text "18446744073709551616"',
  ],
  [{ aDuration: 10 }, 'aDuration: expected a duration such as "10s", "0.5s" or "1m30s", got the number 10'],
  [{ aTime: "noon" }, 'aTime: expected a time such as "2019-10-24T14:04:56.820Z", got the text "noon"'],
  [{ bytes: "hunter2!" }, "bytes: expected bytes as base64 text"],
  [{ bytes: 7 }, "bytes: expected bytes as base64 text"],
  [{ texts: "a" }, 'texts: expected a list, got the text "a"; start each element with "-" in YAML, or use [ ] in JSON'],
  [{ texts: [null] }, "texts[0]: expected an element, got nothing (null)"],
  [{ objects: [{}, { text: 1 }] }, "objects[1].text: expected text, got the number 1; put the value in quotes"],
  [{ tags: [] }, "tags: expected an object of keys and values, got a list"],
  [{ tags: { version: 1 } }, 'tags["version"]: expected text, got the number 1; put the value in quotes'],
  [{ tags: { version: null } }, 'tags["version"]: expected a value, got nothing (null)'],
  [{ tags: { 'a"b': {} } }, 'tags["a\\"b"]: expected text, got an object'],
  [{ tags: { "\udc00": "x" } }, 'tags["\\udc00"]: the key is not valid Unicode'],
  [{ a_time: 1 }, 'aTime: expected a time such as "2019-10-24T14:04:56.820Z", got the number 1'],
  [{ aTime: null, a_time: null }, "aTime: the field is given twice, as aTime and as a_time"],
  [{ any: { a: [Number.POSITIVE_INFINITY] } }, "any.a[0]: expected a JSON value, got the number Infinity"],
  [{ any: { a: new Map() } }, "any.a: expected a JSON value, got an object"],
];

for (const [input, message] of mismatches) {
  test(`refused: ${message.slice(0, 90)}`, () => assert.is(refused(input), message));
}

test("text in an error is truncated", () => {
  assert.is.not(refused({ flag: "x".repeat(1e6) }).length > 300, true);
});

const unknownFields: readonly [input: unknown, field: string, message: string][] = [
  [{ tesxt: 1 }, "tesxt", 'unknown field; did you mean "text"?'],
  [{ inner: { txt: 1 } }, "inner.txt", 'unknown field; did you mean "text"?'],
  [{ objects: [{}, { test: 1 }] }, "objects[1].test", 'unknown field; did you mean "text"?'],
  [{ "a-duration": 1 }, "a-duration", 'unknown field; did you mean "aDuration"?'],
  [{ inner: { other: 1 } }, "inner.other", "unknown field; known here: text"],
  [{ inner: { "a b": 1 } }, 'inner["a b"]', "unknown field; known here: text"],
  [{ inner: JSON.parse('{"__proto__": {"text": "x"}}') }, "inner.__proto__", "unknown field; known here: text"],
  [{ inner: { constructor: 1 } }, "inner.constructor", "unknown field; known here: text"],
];

for (const [input, field, message] of unknownFields) {
  test(`${field} is reported in strict mode and kept in lenient mode`, () => {
    assert.equal(decode(schema, input, "strict").unknown, [{ field, message }]);
    const lenient = decode(schema, input, "lenient");
    assert.equal(lenient.unknown, []);
    assert.is(JSON.stringify(lenient.value), JSON.stringify(input));
  });
}

test("an object without fields says only that a field is unknown", () => {
  assert.equal(decode(object({}), { a: 1 }, "strict").unknown, [{ field: "a", message: "unknown field" }]);
});

test("keys that belong to the envelope are neither unknown nor part of the value, but are suggested", () => {
  const result = decode(inner, { type: 1, nam: 2, text: "x" }, "strict", { beside: ["type", "name"] });
  assert.equal(result.value, { text: "x" });
  assert.equal(result.unknown, [{ field: "nam", message: 'unknown field; did you mean "name"?' }]);
});

test("at most a hundred unknown fields are reported", () => {
  const input = Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`unknown${index}`, 1]));
  assert.is(decode(schema, input, "strict").unknown.length, 100);
});

test("keys of maps may be named like members of every object", () => {
  const written = '{"tags":{"__proto__":"a","constructor":"b","toString":"c","hasOwnProperty":"d"}}';
  const value = decoded(JSON.parse(written));
  assert.is(JSON.stringify(value), written);
  assert.is(Object.getPrototypeOf(value.tags), Object.prototype);
  assert.is(({} as Record<string, unknown>).a, undefined);
});

test("an open object may have such keys too", () => {
  const written = '{"any":{"__proto__":{"polluted":true},"constructor":{"prototype":{}}}}';
  assert.is(JSON.stringify(decoded(JSON.parse(written))), written);
  assert.is(({} as Record<string, unknown>).polluted, undefined);
});

test("the result shares nothing with the input", () => {
  const input = { texts: ["a"], tags: { b: "c" }, any: { d: [1] }, inner: { text: "e" } };
  const value = decoded(input);
  const before = JSON.stringify(value);
  input.texts.push("x");
  input.tags.b = "x";
  input.any.d.push(2);
  input.inner.text = "x";
  assert.is(JSON.stringify(value), before);
});

test("deep nesting is rejected where any object is allowed, and not followed elsewhere", () => {
  const deep = (levels: number) => JSON.parse(`${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`);
  assert.equal(decoded({ any: deep(30) }), { any: deep(30) });
  assert.match(refused({ any: deep(5000) }), "nested deeper than 32 levels");
  assert.is(refused({ text: deep(5000) }), "text: expected text, got an object");
  assert.is(decode(schema, { other: deep(5000) }, "strict").unknown.length, 1);
});

test("an open object that is circular or repeats itself is rejected", () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  assert.match(refused({ any: cycle }), "nested deeper than 32 levels");
  let laughs: unknown = "ha";
  for (let level = 0; level < 20; level++) laughs = Array.from({ length: 10 }, () => laughs);
  assert.match(refused({ any: { laughs } }), "more than 10000 values");
});

test("a huge stored list, map or text is read completely, and rejected with its path in user input", () => {
  const texts = Array.from({ length: 200_000 }, (_, index) => `t${index}`);
  assert.is(decoded({ texts }, "lenient").texts?.length, 200_000);
  assert.is(refused({ texts }), "texts: has 200000 elements, but 10000 at most are taken");
  const tags = Object.fromEntries(texts.slice(0, 257).map((text) => [text, text]));
  const few = object({ tags: map(text(), 256), short: text({ longest: 3 }), pair: list(text(), 2) });
  const problem = (input: unknown) => malformedMessage(() => decode(few, input, "strict"));
  assert.is(problem({ tags }), "tags: has 257 keys, but 256 at most are taken");
  assert.is(problem({ short: "four" }), "short: has 4 characters, but 3 at most are taken");
  assert.is(problem({ pair: ["a", "b", "c"] }), "pair: has 3 elements, but 2 at most are taken");
  const { t0, ...fits } = tags;
  assert.is(Object.keys(decode(few, { tags: fits }, "strict").value.tags ?? {}).length, 256);
  assert.is(decode(few, { short: "four", pair: ["a", "b", "c"] }, "lenient").value.short, "four");
  assert.is(t0, "t0");
});

test("reading a document in steps has the same result, with a step for each list element", () => {
  const nested = object({ rules: list(object({ texts: list(text()), tags: map(text()) })), name: text() });
  const rules = Array.from({ length: 50 }, (_, index) => ({ texts: ["a", "b"], tags: { index: `${index}` }, odd: 1 }));
  const document = { rules, name: "n", other: true };
  for (const mode of ["strict", "lenient"] as const) {
    const steps = decodeInSteps(nested, document, mode);
    let count = 0;
    let step = steps.next();
    for (; step.done !== true; step = steps.next()) count += 1;
    assert.equal(step.value, decode(nested, document, mode));
    assert.is(count, 150);
  }
  const wrong = { rules: [...rules, { texts: ["a", null] }] };
  assert.is(
    malformedMessage(() => finish(decodeInSteps(nested, wrong, "strict"))),
    malformedMessage(() => decode(nested, wrong, "strict")),
  );
});

test.run();
