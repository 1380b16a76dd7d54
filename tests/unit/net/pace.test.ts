import * as assert from "uvu/assert";
import { createPace } from "../../../src/net/pace.js";
import { createFakeTime } from "../../support/fake-time.js";
import { suite } from "../../support/suite.js";

const test = suite("a pace");

function stage(waiting = 100) {
  const time = createFakeTime();
  const begun: number[] = [];
  const pace = createPace({ perSecond: 20, waiting, timers: time.timers });
  const start = () =>
    pace(async () => {
      begun.push(time.timers.now());
    });
  /** Lets time pass in small steps, and promise callbacks run in between. */
  async function pass(milliseconds: number): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += 10) {
      time.pass(10);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  return { begun, start, pass };
}

test("begins the first work at once, and what comes at the same time evenly afterwards", async () => {
  const { begun, start, pass } = stage();
  for (let count = 0; count < 4; count++) start();
  assert.equal(begun, [0]);
  await pass(1_000);
  assert.equal(begun, [0, 50, 100, 150]);
  start();
  assert.is(begun.length, 5, "it saves up no time, and makes nobody wait who comes later");
});

test("refuses work at once when too much is waiting, until there is room again", async () => {
  const { begun, start, pass } = stage(2);
  const started = Array.from({ length: 5 }, start);
  assert.equal(
    started.map((promise) => promise !== undefined),
    [true, true, true, false, false],
  );
  await pass(60);
  assert.is.not(start(), undefined);
  await pass(1_000);
  assert.is(begun.length, 4);
});

test("is not held up by work that fails", async () => {
  const time = createFakeTime();
  const pace = createPace({ perSecond: 20, waiting: 1, timers: time.timers });
  const failed = pace(async () => {
    throw new Error("no");
  });
  const next = pace(async () => "done");
  time.pass(50);
  await failed?.catch((error: Error) => assert.is(error.message, "no"));
  assert.is(await next, "done");
});

test.run();
