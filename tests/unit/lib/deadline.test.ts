import * as assert from "uvu/assert";
import { backoff, sleep } from "../../../src/lib/deadline.js";
import { suite } from "../../support/suite.js";

const test = suite("deadline");

test("delays double up to the maximum and start over after a success", () => {
  const waits = backoff({ first: 100, max: 500, jitter: false });
  assert.equal([waits.next(), waits.next(), waits.next(), waits.next(), waits.next()], [100, 200, 400, 500, 500]);
  waits.reset();
  assert.is(waits.next(), 100);
});

test("jitter removes up to half of a delay", () => {
  assert.is(backoff({ first: 100, max: 500, random: () => 0 }).next(), 50);
  assert.is(backoff({ first: 100, max: 500, random: () => 1 }).next(), 100);
});

test("a sleep ends early when its signal fires", async () => {
  const controller = new AbortController();
  const sleeping = sleep(3_600_000, controller.signal);
  controller.abort();
  await sleeping.then(
    () => assert.unreachable(),
    (error: Error) => assert.is(error.name, "AbortError"),
  );
  await sleep(0);
});

test.run();
