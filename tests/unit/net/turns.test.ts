import * as assert from "uvu/assert";
import { inTurn } from "../../../src/net/turns.js";
import { suite } from "../../support/suite.js";

const test = suite("work in turns");

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Blocks the event loop for longer than a slice. */
function keepBusy(): void {
  const until = performance.now() + 6;
  while (performance.now() < until);
}

test("runs later, in the order it was queued", async () => {
  const begun: number[] = [];
  for (let number = 0; number < 500; number++) inTurn(() => void begun.push(number));
  assert.equal(begun, []);
  while (begun.length < 500) await turn();
  assert.equal(
    begun,
    begun.map((_, index) => index),
  );
});

test("yields the event loop once a slice is over", async () => {
  const seen: string[] = [];
  for (let number = 0; number < 5; number++) {
    inTurn(() => {
      seen.push("work");
      keepBusy();
    });
  }
  while (seen.filter((what) => what === "work").length < 5) {
    await turn();
    seen.push("others");
  }
  assert.not.match(seen.join(" "), "work work");
});

test("finishes the ticks and promises of a piece before the next one starts", async () => {
  const seen: string[] = [];
  const piece = (name: string) => () => {
    process.nextTick(() => seen.push(`${name} tick`));
    void Promise.resolve()
      .then(() => undefined)
      .then(() => seen.push(`${name} promise`));
    seen.push(name);
  };
  inTurn(piece("a"));
  inTurn(piece("b"));
  while (seen.length < 6) await turn();
  assert.equal(seen, ["a", "a tick", "a promise", "b", "b tick", "b promise"]);
});

test("accepts work from within work, also after the queue was empty", async () => {
  const seen: string[] = [];
  inTurn(() => {
    seen.push("outer");
    inTurn(() => void seen.push("inner"));
  });
  while (seen.length < 2) await turn();
  inTurn(() => void seen.push("later"));
  while (seen.length < 3) await turn();
  assert.equal(seen, ["outer", "inner", "later"]);
});

test("continues after a piece that throws", async () => {
  const failures: string[] = [];
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.once("uncaughtException", (error) => failures.push(error.message));
  const seen: string[] = [];
  inTurn(() => {
    throw new Error("broken");
  });
  inTurn(() => void seen.push("next"));
  while (seen.length === 0) await turn();
  for (const listener of others) process.on("uncaughtException", listener);
  assert.equal([failures, seen], [["broken"], ["next"]]);
});

test.run();
