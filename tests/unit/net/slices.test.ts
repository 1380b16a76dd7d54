import * as assert from "uvu/assert";
import type { Steps } from "../../../src/lib/steps.js";
import { inSlices } from "../../../src/net/slices.js";
import { eventually } from "../../support/eventually.js";
import { suite } from "../../support/suite.js";

const test = suite("long work");

function* work(log: string[], name: string, count: number): Steps<string> {
  for (let step = 1; step <= count; step++) {
    log.push(`${name}${step}`);
    yield;
  }
  return name;
}

/** A clock that advances by a millisecond per reading, and a queue that the test runs. */
function stage() {
  const queue: (() => void)[] = [];
  let time = 0;
  return {
    queue,
    options: { now: () => time++, later: (slice: () => void) => void queue.push(slice) },
    slices() {
      let count = 0;
      for (let slice = queue.shift(); slice !== undefined; slice = queue.shift()) {
        slice();
        count += 1;
      }
      return count;
    },
  };
}

test("yields after some milliseconds, and has the same result", async () => {
  const { options, slices } = stage();
  const log: string[] = [];
  const done = inSlices(work(log, "a", 30), options);
  assert.is(slices(), 11);
  assert.is(await done, "a");
  assert.is(log.length, 30);
});

test("of two clients is interleaved", async () => {
  const { options, slices } = stage();
  const log: string[] = [];
  const both = Promise.all([inSlices(work(log, "a", 6), options), inSlices(work(log, "b", 6), options)]);
  slices();
  assert.equal(await both, ["a", "b"]);
  assert.ok(log.indexOf("b1") < log.indexOf("a6"), log.join());
});

test("that throws rejects its promise", async () => {
  const failing = (function* (): Steps<void> {
    yield;
    throw new Error("in the middle");
  })();
  const message = await inSlices(failing).catch((error: Error) => error.message);
  assert.is(message, "in the middle");
});

test("leaves the event loop free in between", async () => {
  const state = { done: false, turns: 0 };
  const endless = (function* (): Steps<void> {
    while (state.turns < 20) yield;
  })();
  const turn = () => {
    state.turns += 1;
    if (!state.done) setImmediate(turn);
  };
  setImmediate(turn);
  const work = inSlices(endless).then(() => {
    state.done = true;
  });
  await eventually("others had twenty turns", () => state.done);
  await work;
});

test.run();
