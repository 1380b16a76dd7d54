import * as assert from "uvu/assert";
import { createSemaphore } from "../../../src/lib/semaphore.js";
import { suite } from "../../support/suite.js";

const test = suite("semaphore");

function work() {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let begun = false;
  const start = () => {
    begun = true;
    return promise;
  };
  return { start, begun: () => begun, done: resolve, fail: reject };
}

const settle = () => new Promise<void>((resolve) => void setImmediate(resolve));

test("only a limited number run at once, the others in order of arrival", async () => {
  const semaphore = createSemaphore(2, 10);
  const works = [work(), work(), work(), work()];
  const results = works.map(({ start }) => semaphore(start));
  await settle();
  const begun = () => works.map((one) => one.begun());
  assert.equal(begun(), [true, true, false, false]);
  works[1]?.done("b");
  await settle();
  assert.equal(begun(), [true, true, true, false]);
  works[0]?.fail(new Error("no"));
  assert.is(await results[0]?.catch(String), "Error: no");
  await settle();
  assert.equal(begun(), [true, true, true, true]);
  works[2]?.done("c");
  works[3]?.done("d");
  assert.equal(await Promise.all(results.slice(1)), ["b", "c", "d"]);
  assert.is(await semaphore(async () => "later"), "later");
});

test("work behind too many waiters is rejected at once", async () => {
  const semaphore = createSemaphore(1, 1);
  const [first, second] = [work(), work()];
  const results = [semaphore(first.start), semaphore(second.start)];
  assert.is(await semaphore(async () => "third"), undefined);
  first.done("first");
  second.done("second");
  assert.equal(await Promise.all(results), ["first", "second"]);
});

test.run();
