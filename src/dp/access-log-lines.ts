const lineBreak = 0x0a;

/** Takes bytes as they come and gives whole lines, without their breaks. */
export interface LineSplitter {
  push(chunk: Buffer): void;
}

/**
 * Each line is lent for the duration of the call: it may be a part of the chunk. What is longer than `longest` bytes is
 * no line of ours; it is passed over up to its end, without ever being held as a whole, and reported once.
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
