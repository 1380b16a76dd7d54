import * as assert from "uvu/assert";
import { mayPass } from "../../../src/xds/configuration/passing-refusal.js";
import { createRetries } from "../../../src/xds/configuration/retries.js";
import { createFakeTime } from "../../support/fake-time.js";
import { suite } from "../../support/suite.js";

const test = suite("retries of rejected resources");

const words: readonly (readonly [reason: string, passes: boolean])[] = [
  ["Error adding/updating listener(s) in: cannot bind '127.0.0.1:80': Address already in use", true],
  ["cannot bind '10.9.9.9:80': Cannot assign requested address", true],
  ["cannot bind '0.0.0.0:80': Permission denied", true],
  ["unable to open file '/var/log/none/access.log': No such file or directory", true],
  ["Invalid path: /etc/certs/tls.crt", true],
  ["error adding listener: 'b' has duplicate address '127.0.0.1:80' as existing listener 'a'", true],
  ["Protobuf message (type envoy.config.listener.v3.Listener) has unknown fields", false],
  ["Proto constraint validation failed (ListenerValidationError.Address: value is required)", false],
  ["Didn't find a registered implementation for 'nobody.knows'", false],
  ["", false],
];

for (const [reason, passes] of words) {
  test(`${passes ? "is retried" : "is not retried"}: ${reason || "no reason"}`, () => {
    assert.is(mayPass(reason), passes);
  });
}

function open() {
  const time = createFakeTime();
  const state = { refused: true, retried: 0 };
  const retry = () => {
    state.retried += 1;
  };
  const retries = createRetries({ retriable: () => state.refused, retry }, time.timers);
  return { time, state, retries };
}

test("start after a second and back off, up to a minute", () => {
  const { time, state, retries } = open();
  retries.follow();
  retries.follow();
  assert.is(time.waiting, 1, "one timer");
  time.pass(1000);
  assert.is(state.retried, 1);
  time.pass(300_000);
  assert.ok(state.retried > 8 && state.retried < 20, `${state.retried} times in five minutes`);
  const before = state.retried;
  time.pass(60_000);
  assert.ok(state.retried > before);
  assert.is(time.waiting, 1);
});

test("stop once the resource is accepted or the stream is closed", () => {
  const { time, state, retries } = open();
  retries.follow();
  state.refused = false;
  retries.follow();
  assert.is(time.waiting, 0);
  state.refused = true;
  retries.follow();
  retries.stop();
  assert.is(time.waiting, 0);
  time.pass(600_000);
  assert.is(state.retried, 0);
});

test("happen immediately on request, and another rejection starts from a second again", () => {
  const { time, state, retries } = open();
  retries.follow();
  time.pass(300_000);
  const before = state.retried;
  retries.retry();
  assert.is(state.retried, before + 1);
  time.pass(1000);
  assert.is(state.retried, before + 2, "and a second after that");
  time.pass(300_000);
  const later = state.retried;
  retries.restart();
  retries.follow();
  time.pass(1000);
  assert.is(state.retried, later + 1);
});

test.run();
