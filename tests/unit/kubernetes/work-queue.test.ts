import * as assert from "uvu/assert";
import { createWorkQueue } from "../../../src/kubernetes/controllers/work-queue.js";
import { createFakeTime } from "../../support/fake-time.js";
import { suite } from "../../support/suite.js";

const test = suite("the work queue of controllers");

/** Lets promise callbacks run. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

function stage() {
  const time = createFakeTime();
  const began: string[] = [];
  const failures: string[] = [];
  const ends = new Map<string, { resolve: () => void; reject: (error: Error) => void }>();
  const queue = createWorkQueue<string>({
    work: (key) =>
      new Promise((resolve, reject) => {
        if (ends.has(key)) throw new Error(`${key} is worked on twice at a time`);
        began.push(key);
        ends.set(key, { resolve, reject });
      }),
    failed: (key, error, count) => failures.push(`${key} ${(error as Error).message} ${count}`),
    timers: time.timers,
    random: () => 1,
  });
  async function end(key: string, error?: Error): Promise<void> {
    const running = ends.get(key);
    if (running === undefined) throw new Error(`${key} is not running`);
    ends.delete(key);
    if (error === undefined) running.resolve();
    else running.reject(error);
    await settle();
  }
  return { time, queue, began, failures, end };
}

test("what is added within 100 ms begins together, each key once", async () => {
  const { time, queue, began } = stage();
  queue.add("a");
  time.pass(60);
  queue.add("b");
  queue.add("a");
  time.pass(39);
  assert.equal(began, []);
  time.pass(1);
  assert.equal(began, ["a", "b"]);
  assert.is(queue.size, 2);
});

test("four keys run at a time, and the next begins when one is done", async () => {
  const { time, queue, began, end } = stage();
  for (const key of ["a", "b", "c", "d", "e", "f"]) queue.add(key);
  time.pass(100);
  assert.equal(began, ["a", "b", "c", "d"]);
  await end("b");
  assert.equal(began, ["a", "b", "c", "d", "e"]);
});

test("a steady stream of additions does not hold up what is due", async () => {
  const { time, queue, began, end } = stage();
  for (const key of ["a", "b", "c", "d", "e", "f"]) queue.add(key);
  time.pass(100);
  queue.add("late");
  await end("a");
  await end("b");
  assert.equal(began, ["a", "b", "c", "d", "e", "f"]);
});

test("a single key does not wait for a bulk that is due, nor does the bulk wait for ever", async () => {
  const { time, queue, began, end } = stage();
  const bulk = ["b1", "b2", "b3", "b4", "b5", "b6", "b7"];
  for (const key of bulk) queue.addBulk(key);
  assert.equal(began, ["b1", "b2", "b3", "b4"]);
  for (const key of ["a", "b", "c", "d", "b7"]) queue.add(key);
  time.pass(100);
  for (const key of ["b1", "b2", "b3", "b4"]) await end(key);
  assert.equal(began.slice(4), ["a", "b", "c", "b5"]);
  for (const key of ["a", "b", "c", "b5"]) await end(key);
  assert.equal(began.slice(8), ["d", "b7", "b6"]);
  for (const key of ["d", "b7", "b6"]) await end(key);
  assert.is(queue.size, 0);
});

test("a bulk waits while the queue is paused", () => {
  const { queue, began } = stage();
  queue.pause();
  queue.addBulk("a");
  assert.equal(began, []);
  queue.resume();
  assert.equal(began, ["a"]);
});

test("a key that is added while it runs, runs again afterwards and never twice at a time", async () => {
  const { time, queue, began, end } = stage();
  queue.add("a");
  time.pass(100);
  queue.add("a");
  time.pass(1_000);
  assert.equal(began, ["a"]);
  await end("a");
  assert.equal(began, ["a", "a"]);
  await end("a");
  time.pass(10_000);
  assert.equal(began, ["a", "a"]);
  assert.is(queue.size, 0);
});

test("a key that fails waits twice as long each time, up to a minute, and begins anew after a success", async () => {
  const { time, queue, began, failures, end } = stage();
  queue.add("a");
  time.pass(100);
  const waits: number[] = [];
  for (let attempt = 0; attempt < 16; attempt++) {
    const before = began.length;
    await end("a", new Error("no"));
    let waited = 0;
    while (began.length === before) {
      time.pass(5);
      waited += 5;
    }
    waits.push(waited);
  }
  assert.equal(waits.slice(0, 4), [5, 10, 20, 40]);
  assert.equal(waits.slice(-2), [60_000, 60_000]);
  assert.is(failures.at(-1), "a no 16");
  await end("a");
  queue.add("a");
  time.pass(100);
  await end("a", new Error("again"));
  assert.is(failures.at(-1), "a again 1");
});

test("a key that waits after a failure delays no other, and its next change is worked on at once", async () => {
  const { time, queue, began, end } = stage();
  queue.add("a");
  time.pass(100);
  for (let attempt = 0; attempt < 14; attempt++) {
    await end("a", new Error("no"));
    time.pass(60_000);
  }
  await end("a", new Error("no"));
  began.length = 0;
  queue.add("b");
  queue.add("a");
  time.pass(100);
  assert.equal(began, ["b", "a"]);
  await end("a");
  time.pass(120_000);
  assert.equal(began, ["b", "a"]);
});

test("nothing begins while it is paused, and all that became due does afterwards", async () => {
  const { time, queue, began } = stage();
  queue.add("a");
  queue.pause();
  queue.add("b");
  time.pass(1_000);
  assert.equal(began, []);
  queue.resume();
  time.pass(100);
  assert.equal(began, ["a", "b"]);
});

test("closing waits for what runs and begins nothing more", async () => {
  const { time, queue, began, end } = stage();
  for (const key of ["a", "b", "c", "d", "e"]) queue.add(key);
  time.pass(100);
  let closed = false;
  const closing = queue.close().then(() => {
    closed = true;
  });
  await end("a");
  await end("b", new Error("no"));
  assert.is(closed, false);
  await end("c");
  await end("d");
  await closing;
  queue.add("x");
  time.pass(120_000);
  assert.equal(began, ["a", "b", "c", "d"]);
  assert.is(time.waiting, 0);
});

test.run();
