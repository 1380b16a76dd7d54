import * as assert from "uvu/assert";
import { restingProblem } from "../../soak/fuzz/vitals.js";
import { suite } from "../../support/suite.js";

const test = suite("memory of a process that was flooded");

const megabyte = 1e6;
const floods = (count: number, memory: (index: number) => number) =>
  Array.from({ length: count }, (_, index) => memory(index) * megabyte);

test("memory that is released is fine, however long the run was", () => {
  for (const count of [0, 1, 100, 101, 400, 5_000]) {
    assert.is(
      restingProblem(
        350 * megabyte,
        floods(count, (index) => 100 + index),
      ),
      undefined,
    );
  }
});

test("after a short run memory has to be released", () => {
  assert.is(
    restingProblem(
      351 * megabyte,
      floods(100, () => 351),
    ),
    "351 MB at rest, over 350 MB",
  );
  assert.is(
    restingProblem(
      351 * megabyte,
      floods(101, () => 351),
    ),
    undefined,
  );
});

test("in a long run memory has to level off", () => {
  const plateau = floods(400, (index) => Math.min(480, 100 + 2 * index) + (index % 7));
  assert.is(restingProblem(480 * megabyte, plateau), undefined);
  const leak = floods(400, (index) => 100 + index);
  assert.is(restingProblem(499 * megabyte, leak), "499 MB in the second half of 400 floods, 299 MB in the first");
});

test.run();
