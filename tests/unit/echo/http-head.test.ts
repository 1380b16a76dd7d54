import * as assert from "uvu/assert";
import { parseRequestHead } from "../../../src/echo/http-head.js";
import { suite } from "../../support/suite.js";

const test = suite("kuma-tcp-echo tells HTTP requests from other bytes");

test("a complete request head is recognised, a body after it does not matter", () => {
  const request = "POST /a?b=c HTTP/1.1\r\nHost: x:1\r\nContent-Length: 2\r\n\r\nhi";
  assert.equal(parseRequestHead(Buffer.from(request)), { protocol: "HTTP/1.1", method: "POST", url: "/a?b=c" });
  assert.equal(parseRequestHead(Buffer.from("GET / HTTP/1.0\n\n")), { protocol: "HTTP/1.0", method: "GET", url: "/" });
});

const others: [string, string | Buffer][] = [
  ["plain bytes", "hello\n"],
  ["nothing", ""],
  ["a head without its end", "GET / HTTP/1.1\r\nHost: x\r\n"],
  ["a line that is no header", "GET / HTTP/1.1\r\nnonsense\r\n\r\n"],
  ["another protocol", "GET / HTTP/2.0\r\n\r\n"],
  ["control characters in the target", "GET /\x1b[31m HTTP/1.1\r\n\r\n"],
  ["a head longer than 1024 bytes", `GET / HTTP/1.1\r\nA: ${"x".repeat(1100)}\r\n\r\n`],
  ["binary", Buffer.from([0xff, 0x00, 0x47, 0x45, 0x54])],
];
for (const [what, bytes] of others) {
  test(`${what}: TCP`, () => {
    assert.is(parseRequestHead(Buffer.from(bytes)), undefined);
  });
}

test.run();
