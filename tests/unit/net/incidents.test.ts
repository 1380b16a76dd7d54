import * as assert from "uvu/assert";
import { createLogger } from "../../../src/lib/logger.js";
import { createGuard } from "../../../src/net/incidents.js";
import { suite } from "../../support/suite.js";

const test = suite("a guarded network callback");

test("that throws is logged and counted, and closes what the peer has open, even if closing throws as well", () => {
  const lines: string[] = [];
  let caught = 0;
  const logger = createLogger({ name: "test", level: "info", write: (line) => void lines.push(line) });
  const guard = createGuard(logger, { refused() {}, caught: () => void caught++ });
  const given: number[] = [];
  const callback = guard(
    (number: number) => {
      throw new Error(`no ${number}`);
    },
    (number) => {
      given.push(number);
      throw new Error("nor this");
    },
  );
  callback(7);
  assert.equal(given, [7]);
  assert.is(caught, 2);
  assert.match(lines.join(""), /no 7/);
  assert.match(lines.join(""), /nor this/);
});

test("that does not throw changes nothing", () => {
  const guard = createGuard(createLogger({ name: "test", level: "off" }), {
    refused() {},
    caught: () => assert.unreachable("nothing threw"),
  });
  const heard: string[] = [];
  const callback = guard(
    (word: string) => void heard.push(word),
    () => assert.unreachable("nothing threw"),
  );
  callback("a");
  callback("b");
  assert.equal(heard, ["a", "b"]);
});

test.run();
