import * as assert from "uvu/assert";
import { createLruCache } from "../../../src/lib/lru-cache.js";
import { suite } from "../../support/suite.js";

const test = suite("LRU cache");

test("a value is made once, and the least recently used one is evicted", () => {
  const made: string[] = [];
  const cached = createLruCache<string>(2);
  const use = (key: string) =>
    cached(key, () => {
      made.push(key);
      return key.toUpperCase();
    });
  assert.is(use("a"), "A");
  assert.is(use("a"), "A");
  use("b");
  use("a");
  use("c");
  assert.equal(made.splice(0), ["a", "b", "c"]);
  use("a");
  use("c");
  assert.equal(made.splice(0), []);
  use("b");
  use("a");
  assert.equal(made, ["b", "a"]);
});

test.run();
