import * as assert from "uvu/assert";
import { createPacer } from "../../../src/xds/pacer.js";
import { suite } from "../../support/suite.js";

const test = suite("a pacer");

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Work that says when it begins and ends when the test says. */
function work(begun: number[], ends: (() => void)[]) {
  return (number: number) => (): Promise<void> => {
    begun.push(number);
    return new Promise((resolve) => {
      ends.push(resolve);
    });
  };
}

test("begins nothing at once, and then all in the order it came", async () => {
  const pace = createPacer(0);
  const begun: number[] = [];
  for (let number = 0; number < 50; number++) pace(async () => void begun.push(number));
  assert.equal(begun, []);
  while (begun.length < 50) await turn();
  assert.equal(
    begun,
    begun.map((_, index) => index),
  );
});

test("leaves the loop to others between two slices, each of one piece of work when that takes the whole slice", async () => {
  const pace = createPacer(0);
  const seen: string[] = [];
  for (let number = 0; number < 5; number++) pace(async () => void seen.push("work"));
  while (seen.filter((what) => what === "work").length < 5) {
    await turn();
    seen.push("others");
  }
  assert.not.match(seen.join(" "), "work work");
});

test("has at most eight under way, and begins another for each that ends", async () => {
  const pace = createPacer(1000);
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const of = work(begun, ends);
  for (let number = 0; number < 20; number++) pace(of(number));
  await turn();
  await turn();
  assert.is(begun.length, 8);
  for (let ended = 0; ended < 12; ended++) {
    ends.shift()?.();
    await turn();
    await turn();
    assert.is(begun.length, 9 + ended);
  }
  for (const end of ends.splice(0)) end();
  pace(of(20));
  await turn();
  await turn();
  assert.is(begun.at(-1), 20);
});

test("goes on after work that fails, which takes nobody's place", async () => {
  const pace = createPacer(1000);
  const seen: string[] = [];
  for (let number = 0; number < 20; number++) {
    pace(async () => {
      seen.push("failed");
      throw new Error("broken");
    });
  }
  pace(async () => void seen.push("last"));
  for (let turns = 0; seen.length < 21 && turns < 100; turns++) await turn();
  assert.equal([seen.length, seen.at(-1)], [21, "last"]);
});

test("takes work from work, also after it had nothing to do", async () => {
  const pace = createPacer(5);
  const seen: string[] = [];
  pace(async () => {
    seen.push("outer");
    pace(async () => void seen.push("inner"));
  });
  while (seen.length < 2) await turn();
  pace(async () => void seen.push("later"));
  while (seen.length < 3) await turn();
  assert.equal(seen, ["outer", "inner", "later"]);
});

test.run();
