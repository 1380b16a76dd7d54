import * as assert from "uvu/assert";
import { createLately } from "../../../src/lib/lately.js";
import { suite } from "../../support/suite.js";

const test = suite("what was used lately");

test("it is made once, and what was not used for longest goes first", () => {
  const made: string[] = [];
  const lately = createLately<string>(2);
  const use = (key: string) =>
    lately(key, () => {
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
