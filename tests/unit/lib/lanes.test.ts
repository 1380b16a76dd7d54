import * as assert from "uvu/assert";
import { inLanes } from "../../../src/lib/lanes.js";
import { suite } from "../../support/suite.js";

const test = suite("work in lanes");

test("runs no more at a time than there are lanes, and answers in order", async () => {
  let running = 0;
  let most = 0;
  const results = await inLanes([5, 1, 4, 2, 3], 2, async (item) => {
    running += 1;
    most = Math.max(most, running);
    for (let turn = 0; turn < item; turn++) await Promise.resolve();
    running -= 1;
    return item * 10;
  });
  assert.equal(results, [50, 10, 40, 20, 30]);
  assert.is(most, 2);
  assert.equal(await inLanes([], 2, async () => 1), []);
});

test("begins nothing after an error, and throws it once what runs has ended", async () => {
  const begun: number[] = [];
  const ended: number[] = [];
  const work = async (item: number) => {
    begun.push(item);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    if (item === 1) throw new Error("the first");
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    ended.push(item);
  };
  const error = await inLanes([1, 2, 3, 4], 2, work).catch((one: unknown) => one);
  assert.is((error as Error).message, "the first");
  assert.equal([begun, ended], [[1, 2], [2]]);
});

test.run();
