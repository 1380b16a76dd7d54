import * as assert from "uvu/assert";
import { connectableHost, hostOfHeader, hostPort, isLoopback, unmapped } from "../../../src/lib/host.js";
import { suite } from "../../support/suite.js";

const test = suite("hosts");

for (const host of [
  "localhost",
  "cp.example",
  "cp.example.",
  "my_host",
  "1and1.example",
  "10.0.0.1",
  "::1",
  "fd00::1",
]) {
  test(`others can connect to ${host}`, () => assert.is(connectableHost(host), host));
}

test("an IPv6 address loses its brackets", () => {
  assert.is(connectableHost("[fd00::1]"), "fd00::1");
  assert.is(connectableHost("[::ffff:10.0.0.1]"), "::ffff:10.0.0.1");
});

const unusable = [
  "",
  "cp:5678",
  "http://cp",
  "[::1]:5678",
  "[10.0.0.1]",
  "[cp]",
  "[[::1]]",
  "::1:x",
  "fe80::1%eth0",
  "0.0.0.0",
  "::",
  "[::]",
  "0:0:0:0:0:0:0:0",
  "::0.0.0.0",
  "::ffff:0.0.0.0",
  "::ffff:0:0",
  "10.1",
  "256.0.0.1",
  "-cp",
  "cp-",
  "a..b",
  "a b",
  "a\n",
  "ä.example",
  `${"a".repeat(64)}.example`,
  "a.".repeat(130),
];

for (const text of unusable) {
  test(`nobody can connect to ${JSON.stringify(text)}`, () => assert.is(connectableHost(text), undefined));
}

for (const host of [
  "localhost",
  "LocalHost.",
  "a.localhost",
  "127.0.0.1",
  "127.9.9.9",
  "::1",
  "0:0:0:0:0:0:0:1",
  "[::1]",
  "::ffff:127.0.0.1",
  "::ffff:7f00:1",
  "::1%lo",
]) {
  test(`${host} is loopback`, () => assert.is(isLoopback(host), true));
}
for (const host of ["", "cp", "localhost.example", "10.0.0.1", "::2", "fd00::1", "::ffff:10.0.0.1"]) {
  test(`${JSON.stringify(host)} is not loopback`, () => assert.is(isLoopback(host), false));
}

test("an IPv6 address has brackets before a port, and loses them in a header", () => {
  assert.is(hostPort("fd00::1", 80), "[fd00::1]:80");
  assert.is(hostPort("cp", 80), "cp:80");
  assert.is(hostOfHeader("[fd00::1]:80"), "fd00::1");
  assert.is(hostOfHeader("[fd00::1]"), "fd00::1");
  assert.is(hostOfHeader("cp:80"), "cp");
  assert.is(hostOfHeader("cp"), "cp");
  assert.is(unmapped("::ffff:10.0.0.1"), "10.0.0.1");
  assert.is(unmapped("fd00::1"), "fd00::1");
});

test.run();
