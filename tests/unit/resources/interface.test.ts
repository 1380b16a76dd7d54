import * as assert from "uvu/assert";
import { parseInboundInterface, parseOutboundInterface } from "../../../src/resources/interface.js";
import { suite } from "../../support/suite.js";

const test = suite("interfaces");

test("inbound", () => {
  assert.equal(parseInboundInterface("127.0.0.1:9000:6379"), { ip: "127.0.0.1", port: 9000, servicePort: 6379 });
  assert.equal(parseInboundInterface("255.255.255.255:1:65535"), {
    ip: "255.255.255.255",
    port: 1,
    servicePort: 65535,
  });
  assert.equal(parseInboundInterface("0.0.0.0:00080:1"), { ip: "0.0.0.0", port: 80, servicePort: 1 });
});

const noInbounds = [
  "",
  "127.0.0.1:80",
  ":80:81",
  "127.0.0.1:0:1",
  "127.0.0.1:1:0",
  "127.0.0.1:65536:1",
  "127.0.0.1:1:65536",
  "127.0.0.1:000080:1",
  "256.0.0.1:1:1",
  "1.2.3:1:1",
  "1.2.3.4.5:1:1",
  "01.2.3.4:1:1",
  "localhost:1:1",
  "::1:1:1",
  "[::1]:1:1",
  " 127.0.0.1:1:1",
  "127.0.0.1:1:1\n",
  "127.0.0.1:+1:1",
  "127.0.0.1:1:1:1",
  "١٢٧.0.0.1:1:1",
];

for (const text of noInbounds) {
  test(`no inbound: ${JSON.stringify(text)}`, () => assert.is(parseInboundInterface(text), undefined));
}

test("outbound", () => {
  assert.equal(parseOutboundInterface(":10000"), { ip: "127.0.0.1", port: 10000 });
  assert.equal(parseOutboundInterface("10.1.2.3:65535"), { ip: "10.1.2.3", port: 65535 });
});

for (const text of ["", "80", ":", ":0", ":65536", ":123456", "localhost:80", "[::1]:80", "1.2.3.4:80:81", ":80\n"]) {
  test(`no outbound: ${JSON.stringify(text)}`, () => assert.is(parseOutboundInterface(text), undefined));
}

test.run();
