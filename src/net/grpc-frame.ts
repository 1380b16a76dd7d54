/** A message as gRPC puts it on a stream: made once, and written to as many streams as have to hear it. */
export type Frame = Buffer & { readonly framed: unique symbol };

/** A byte that says whether the message is compressed, and four with its length, before each message. */
const headBytes = 5;

export function frame(message: Uint8Array): Frame {
  const bytes = Buffer.allocUnsafeSlow(headBytes + message.length);
  bytes[0] = 0;
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, headBytes);
  return bytes as Frame;
}

/** The message in a frame. */
export const unframed = (framed: Frame): Buffer => framed.subarray(headBytes);

export type FrameError = "compressed" | "too-long";

export interface FrameReaderOptions {
  /** Of one message, in bytes. */
  readonly longest: number;
  /** A whole message; its bytes may be shared with others that came together. */
  message(bytes: Buffer): void;
  /** What comes can't be read any further; nothing is told after this. */
  failed(error: FrameError): void;
}

/** Finds messages in the chunks of a stream; holds no more than what one unfinished message has sent so far. */
export function createFrameReader({ longest, message, failed }: FrameReaderOptions): (chunk: Buffer) => void {
  let held: Buffer[] = [];
  let size = 0;
  /** How much must be there before a look at it can bring anything. */
  let needed = headBytes;
  let broken = false;

  function fail(error: FrameError): void {
    broken = true;
    held = [];
    failed(error);
  }

  /** Takes whole messages off the front; what is left is the beginning of one. */
  function take(bytes: Buffer): Buffer {
    let rest = bytes;
    for (;;) {
      needed = headBytes;
      if (rest.length < needed) return rest;
      const length = rest.readUInt32BE(1);
      if (rest[0] !== 0) fail("compressed");
      else if (length > longest) fail("too-long");
      if (broken) return rest;
      needed = headBytes + length;
      if (rest.length < needed) return rest;
      const whole = rest.subarray(headBytes, needed);
      rest = rest.subarray(needed);
      message(whole);
    }
  }

  return (chunk) => {
    if (broken) return;
    size += chunk.length;
    if (size < needed) {
      held.push(chunk);
      return;
    }
    const rest = take(held.length === 0 ? chunk : Buffer.concat([...held, chunk]));
    // A small rest must not keep a large chunk alive.
    held = rest.length === 0 || broken ? [] : [Buffer.from(rest)];
    size = rest.length;
  };
}
