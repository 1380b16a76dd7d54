import * as assert from "uvu/assert";
import { createBudget } from "../../../src/net/budget.js";
import { seeded } from "../../support/random.js";
import { suite } from "../../support/suite.js";

const test = suite("a budget that peers share");

test("beyond the limit, peers are evicted, those that held something for the longest time first, until it fits", () => {
  const lost: string[] = [];
  const budget = createBudget(100);
  const [first, second, third] = ["first", "second", "third"].map((name) => budget.share(() => void lost.push(name)));
  first?.hold(30);
  second?.hold(30);
  first?.hold(40);
  third?.hold(30);
  assert.equal(lost, []);
  third?.hold(31);
  assert.equal(lost, ["first"]);
  assert.is(budget.held(), 61);
  third?.hold(95);
  assert.equal(lost, ["first", "second"]);
  assert.is(budget.held(), 95);
});

test("what was released does not count, and its holder starts at the end of the order again", () => {
  const lost: string[] = [];
  const budget = createBudget(10);
  const [a, b] = ["a", "b"].map((name) => budget.share(() => void lost.push(name)));
  a?.hold(5);
  b?.hold(5);
  a?.hold(0);
  a?.hold(5);
  a?.hold(6);
  assert.equal(lost, ["b"]);
});

test("a peer that holds more than the whole budget is evicted at once", () => {
  const lost: string[] = [];
  const budget = createBudget(10);
  budget.share(() => void lost.push("greedy")).hold(11);
  assert.equal(lost, ["greedy"]);
  assert.is(budget.held(), 0);
});

test("is never exceeded, whatever peers do", () => {
  const random = seeded(3);
  const budget = createBudget(1_000);
  const shares = Array.from({ length: 20 }, () => budget.share(() => {}));
  for (let round = 0; round < 5_000; round++) {
    shares[random.below(shares.length)]?.hold(random.below(300));
    assert.ok(budget.held() >= 0 && budget.held() <= 1_000);
  }
  for (const share of shares) share.hold(0);
  assert.is(budget.held(), 0);
});

test.run();
