import * as assert from "uvu/assert";
import { createPlacement } from "../../../src/envoy/placement.js";
import { suite } from "../../support/suite.js";

const test = suite("what a proxy says of itself");

test("has another key when anything in it differs, and the same when nothing does", () => {
  const said = { tokenPath: "token", logDirectories: ["/var/log", "/tmp"], tcpKeepalive: true, promptTls: true };
  const others = [
    { ...said, tokenPath: "other" },
    { ...said, tokenPath: undefined },
    { ...said, logDirectories: ["/var/log"] },
    { ...said, tcpKeepalive: false },
    { ...said, promptTls: false },
  ];
  const keys = [said, ...others].map((one) => createPlacement(one).key);
  assert.is(new Set(keys).size, keys.length);
  assert.is(createPlacement({ ...said, logDirectories: ["/tmp", "/var/log", "/tmp"] }).key, keys[0]);
});

test("has no flags unless it says so, as Envoys of older releases don't", () => {
  const { tcpKeepalive, promptTls, key } = createPlacement({ tokenPath: "token" });
  assert.equal([tcpKeepalive, promptTls], [false, false]);
  assert.is(createPlacement({ tokenPath: "token", tcpKeepalive: false, promptTls: false }).key, key);
});

test.run();
