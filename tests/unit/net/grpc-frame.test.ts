import * as assert from "uvu/assert";
import { createFrameReader, frame } from "../../../src/net/grpc-frame.js";
import { unframed } from "../../support/discovery-request.js";
import { seeded } from "../../support/random.js";
import { suite } from "../../support/suite.js";

const test = suite("messages of gRPC in their frames");

function open(longest = 1_000) {
  const heard: string[] = [];
  const read = createFrameReader({
    longest: () => longest,
    message: (bytes) => void heard.push(bytes.toString()),
    failed: (error) => void heard.push(`failed: ${error}`),
  });
  return { heard, read };
}

const of = (...texts: string[]) => Buffer.concat(texts.map((text) => frame(Buffer.from(text))));

test("a frame is five bytes and the message", () => {
  const framed = frame(Buffer.from("hello"));
  assert.equal([...framed.subarray(0, 5)], [0, 0, 0, 0, 5]);
  assert.is(unframed(framed).toString(), "hello");
  assert.equal([...frame(new Uint8Array())], [0, 0, 0, 0, 0]);
});

test("several messages in one chunk are delivered one by one, empty ones too", () => {
  const { heard, read } = open();
  read(of("one", "", "three"));
  assert.equal(heard, ["one", "", "three"]);
});

test("messages are the same however they are split into chunks", () => {
  const random = seeded(7);
  for (let round = 0; round < 200; round++) {
    const texts = Array.from({ length: 1 + random.below(5) }, () => "x".repeat(random.below(40)));
    const bytes = of(...texts);
    const { heard, read } = open();
    for (let at = 0; at < bytes.length; ) {
      const size = 1 + random.below(9);
      read(Buffer.from(bytes.subarray(at, at + size)));
      at += size;
    }
    assert.equal(heard, texts);
  }
});

test("a message with a too large length is rejected by its prefix, and nothing after it is read", () => {
  const { heard, read } = open(10);
  read(of("fits"));
  read(Buffer.from([0, 0, 0, 0, 11]));
  read(of("later"));
  assert.equal(heard, ["fits", "failed: too-long"]);
});

test("a compressed message is rejected, and nothing after it is read", () => {
  const { heard, read } = open();
  read(Buffer.concat([of("plain"), Buffer.from([1, 0, 0, 0, 1, 7]), of("later")]));
  assert.equal(heard, ["plain", "failed: compressed"]);
});

test.run();
