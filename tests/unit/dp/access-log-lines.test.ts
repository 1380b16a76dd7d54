import * as assert from "uvu/assert";
import { createLineSplitter } from "../../../src/dp/access-log-lines.js";
import { suite } from "../../support/suite.js";

const test = suite("bytes become lines");

function split(longest: number, ...chunks: readonly string[]) {
  const lines: string[] = [];
  let tooLong = 0;
  const splitter = createLineSplitter(
    longest,
    (bytes) => void lines.push(bytes.toString()),
    () => {
      tooLong += 1;
    },
  );
  for (const chunk of chunks) splitter.push(Buffer.from(chunk));
  return { lines, tooLong };
}

const cases: readonly [what: string, chunks: readonly string[], lines: readonly string[], tooLong: number][] = [
  ["several in one chunk", ["a\nb\n\nc\n"], ["a", "b", "", "c"], 0],
  ["one over many chunks", ["a", "b", "", "c\n"], ["abc"], 0],
  ["an unfinished one waits", ["a\nb"], ["a"], 0],
  ["the longest there may be", ["12345678\n", "1234", "5678\n"], ["12345678", "12345678"], 0],
  ["too long, and what follows", ["123456789\nb\n"], ["b"], 1],
  ["too long over chunks, counted once", ["12345", "6789", "0123", "456\nb\nc"], ["b"], 1],
  ["too long at the very end of a chunk", ["123456789", "\nb\n"], ["b"], 1],
  ["twice too long", ["123456789", "\n123456789\n"], [], 2],
  ["a sign of many bytes, cut in two", ["\u00e4".repeat(2), "\n"], ["ää"], 0],
];

for (const [what, chunks, lines, tooLong] of cases) {
  test(what, () => assert.equal(split(8, ...chunks), { lines, tooLong }));
}

test("the lines are the same however the bytes are split", () => {
  const text = "alpha\nbeta;gamma\n\nä€𝄞\nlast\n";
  const bytes = Buffer.from(text);
  for (let size = 1; size <= bytes.length; size++) {
    const lines: string[] = [];
    const splitter = createLineSplitter(
      100,
      (line) => void lines.push(line.toString()),
      () => assert.unreachable(),
    );
    for (let at = 0; at < bytes.length; at += size) splitter.push(bytes.subarray(at, at + size));
    assert.equal(lines, text.split("\n").slice(0, -1));
  }
});

test.run();
