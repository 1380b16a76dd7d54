import { Worker } from "node:worker_threads";
import * as assert from "uvu/assert";
import { keyOf, memo, memoOfRecent } from "../../../src/envoy/memo.js";
import { runSeed, seeded } from "../../support/random.js";
import { versionsOf } from "../../support/random-versions.js";
import { suite } from "../../support/suite.js";

const test = suite("memoised resources");

const frozen = (n: number) => Object.freeze({ a: n });
const [one, two] = [frozen(1), frozen(2)];

test("different values never have the same key", () => {
  const values: readonly unknown[] = [
    [],
    [""],
    ["", ""],
    [[""], ""],
    [["", ""]],
    [["a"], "b"],
    [["a", "b"]],
    ["a"],
    ["a", ""],
    ["", "a"],
    ["a", "b"],
    ["ab"],
    ["1:a"],
    ["a1:b"],
    [1],
    ["1"],
    [1, 2],
    [12],
    [true],
    ["true"],
    [false],
    [undefined],
    ["undefined"],
    [null],
    ["null"],
    [one],
    [two],
    [one, two],
    [{ a: 1, b: 2 }],
    [{ a: 1 }, { b: 2 }],
    [{ a: { b: 2 } }],
    [{ a: {}, b: 2 }],
    [{}],
    {},
    { "a=1;": 1 },
    { a: "1:b=1;" },
    ["#1;"],
    ["=1;"],
    [1, "0123456789"],
    [10, "123456789"],
  ];
  assert.is(new Set(values.map(keyOf)).size, values.length);
  for (const value of values) assert.is(keyOf(value), keyOf(value));
  const random = seeded(runSeed);
  const pieces: readonly unknown[] = [
    "",
    ":",
    ";",
    "=1;",
    "#1;",
    "1:",
    "1:1",
    1,
    11,
    true,
    undefined,
    one,
    two,
    [],
    {},
  ];
  const say = (value: unknown): string =>
    value === one
      ? "one"
      : value === two
        ? "two"
        : typeof value === "object"
          ? sayObject(value as object)
          : `${typeof value} ${value}`;
  const sayObject = (value: object): string =>
    Array.isArray(value)
      ? `[${value.map(say).join(", ")}]`
      : `{${Object.entries(value).map(([k, v]) => `${JSON.stringify(k)}: ${say(v)}`)}}`;
  const some = (depth: number): unknown => {
    const members = Array.from({ length: random.below(4) }, () =>
      depth > 0 && random.below(4) === 0 ? some(depth - 1) : random.pick(pieces),
    );
    return random.below(2) === 0
      ? members
      : Object.fromEntries(members.map((member) => [random.pick(["", "a", "a=", "1:a"]), member]));
  };
  const seen = new Map<string, string>();
  for (let round = 0; round < 20_000; round++) {
    const value = some(2);
    const key = keyOf(value);
    assert.is(seen.get(key) ?? say(value), say(value), `TEST_SEED=${runSeed}`);
    seen.set(key, say(value));
  }
});

test("equal values have the same key, whether copied or frozen", () => {
  assert.is(keyOf({ a: { b: "c" } }), keyOf({ a: { b: "c" } }));
  assert.is.not(keyOf({ a: { b: "c" } }), keyOf({ a: { b: "d" } }));
  assert.is(keyOf(frozen(3)), keyOf(frozen(3)));
  assert.is.not(keyOf(frozen(3)), keyOf(frozen(4)));
});

test("an object that is not frozen is read each time", () => {
  const changing = { a: 1 };
  const before = keyOf(changing);
  changing.a = 2;
  assert.is.not(keyOf(changing), before);
});

interface Made {
  readonly name: string;
  readonly more: { readonly a: number } | undefined;
}

test("a referenced result is not created again, and each memo has its own results", () => {
  let count = 0;
  const make = (parameters: Made) => {
    count += 1;
    return { ...parameters };
  };
  const [first, second] = [memo(make), memo(make)];
  const held = first({ name: "r", more: one });
  assert.is(first({ name: "r", more: Object.freeze({ a: 1 }) }), held);
  assert.is.not(first({ name: "r", more: two }), held);
  assert.is.not(first({ name: "s", more: one }), held);
  assert.is(count, 3);
  assert.is.not(second({ name: "r", more: one }), held);
  assert.is(count, 4);
});

test("of unreferenced results the most recent ones are kept", () => {
  const makes: string[] = [];
  const of = memoOfRecent(2, ({ name }: { readonly name: string }) => {
    makes.push(name);
    return name;
  });
  for (const name of ["a", "b", "a", "c", "a", "b"]) assert.is(of({ name }), name);
  assert.equal(makes, ["a", "b", "c", "b"]);
});

test("the type checker rejects functions, maps and bytes, which a key can't represent", () => {
  // @ts-expect-error a function
  memo((parameters: { readonly make: () => number }) => ({ made: parameters.make() }));
  // @ts-expect-error a map
  memo((parameters: { readonly names: ReadonlyMap<string, string> }) => ({ size: parameters.names.size }));
  // @ts-expect-error bytes
  memo((parameters: { readonly deep: { readonly bytes: Uint8Array } }) => ({ size: parameters.deep.bytes.length }));
});

test("results do not depend on what was created before: 400 meshes are the same in another order", async () => {
  const seeds = Array.from({ length: 400 }, (_, index) => runSeed + index);
  // A worker thread has its own modules, with empty caches.
  const worker = new Worker(new URL("../../support/random-versions-worker.ts", import.meta.url), {
    execArgv: ["--import", "tsx"],
  });
  try {
    const backwards = new Promise<string[][]>((resolve, reject) => {
      worker.on("message", resolve);
      worker.on("error", reject);
    });
    worker.postMessage(seeds.toReversed());
    const forwards = seeds.map(versionsOf);
    const others = (await backwards).toReversed();
    for (const [index, seed] of seeds.entries()) assert.equal(others[index], forwards[index], `TEST_SEED=${seed}`);
    assert.ok(new Set(forwards.flat()).size > 1_000);
  } finally {
    await worker.terminate();
  }
});

test.run();
