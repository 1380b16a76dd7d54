import { Worker } from "node:worker_threads";
import * as assert from "uvu/assert";
import { type Ingredient, keyOf, madeOnce } from "../../../src/envoy/ingredients.js";
import type { EnvoyResource } from "../../../src/envoy/resource.js";
import { runSeed, seeded } from "../../support/random.js";
import { versionsOf } from "../../support/random-versions.js";
import { suite } from "../../support/suite.js";

const test = suite("what resources are made from");

const [one, two] = [{ a: 1 }, { a: 2 }];

test("different ingredients never have one key, however they are spelt", () => {
  const lists: readonly (readonly Ingredient[])[] = [
    [],
    [""],
    ["", ""],
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
    [one],
    [two],
    [one, two],
    ["#1;"],
    ["=1;"],
    [1, "0123456789"],
    [10, "123456789"],
  ];
  assert.is(new Set(lists.map(keyOf)).size, lists.length);
  for (const list of lists) assert.is(keyOf([...list]), keyOf(list));
  const random = seeded(runSeed);
  const pieces: readonly Ingredient[] = ["", ":", ";", "=1;", "#1;", "1:", "1:1", 1, 11, true, undefined, one, two];
  const seen = new Map<string, string>();
  for (let round = 0; round < 20_000; round++) {
    const list = Array.from({ length: random.below(4) }, () => random.pick(pieces));
    const said = list.map((each) => `${typeof each} ${each === one ? "one" : each === two ? "two" : each}`).join(", ");
    const key = keyOf(list);
    assert.is(seen.get(key) ?? said, said, `TEST_SEED=${runSeed}`);
    seen.set(key, said);
  }
});

test("an object that says the same is the same ingredient", () => {
  assert.is(keyOf([{ a: { b: "c" } }]), keyOf([{ a: { b: "c" } }]));
  assert.is.not(keyOf([{ a: { b: "c" } }]), keyOf([{ a: { b: "d" } }]));
});

test("what somebody holds is not made again", () => {
  let made = 0;
  const make = (): EnvoyResource => {
    made += 1;
    return { name: "r", version: "1", bytes: new Uint8Array(), clusters: [], edsName: undefined, raw: false };
  };
  const held = madeOnce(["a test", one], make);
  assert.is(madeOnce(["a test", one], make), held);
  assert.is.not(madeOnce(["a test", two], make), held);
  assert.is(made, 2);
});

test("it makes no difference what was made before: 400 meshes come to the same in another order", async () => {
  const seeds = Array.from({ length: 400 }, (_, index) => runSeed + index);
  // A thread has modules of its own, which remember nothing of what this one has made.
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
