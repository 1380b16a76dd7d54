const lineBreak = 0x0a;

/** Splits a stream of bytes into lines without their line breaks. */
export interface LineSplitter {
  push(chunk: Buffer): void;
}

/**
 * The bytes passed to `line` are valid only during the call: they may be part of the chunk. A line longer than
 * `longest` bytes is skipped without being buffered as a whole, and `tooLong` is called once for it.
 */
export function createLineSplitter(longest: number, line: (bytes: Buffer) => void, tooLong: () => void): LineSplitter {
  let rest = Buffer.alloc(0);
  let passingOver = false;

  function end(bytes: Buffer): void {
    const whole = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    rest = Buffer.alloc(0);
    if (passingOver) passingOver = false;
    else if (whole.length > longest) tooLong();
    else line(whole);
  }

  return {
    push(chunk) {
      let start = 0;
      for (let at = chunk.indexOf(lineBreak); at >= 0; at = chunk.indexOf(lineBreak, start)) {
        end(chunk.subarray(start, at));
        start = at + 1;
      }
      if (passingOver || start === chunk.length) return;
      rest = Buffer.concat([rest, chunk.subarray(start)]);
      if (rest.length <= longest) return;
      rest = Buffer.alloc(0);
      passingOver = true;
      tooLong();
    },
  };
}
