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

export type FrameError = "compressed" | "too-long";

export interface FrameReaderOptions {
  /** Of one message, in bytes; asked anew for each message. */
  readonly longest: () => number;
  /** A whole message; its bytes may be shared with others that came together. */
  message(bytes: Buffer): void;
  /** What comes can't be read any further; nothing is told after this. */
  failed(error: FrameError): void;
  /** How much memory the unfinished message takes, after each chunk. */
  held?(bytes: number): void;
}

const nothing = Buffer.alloc(0);

/**
 * Finds messages in the chunks of a stream. An unfinished message is copied into a buffer that grows with what has come:
 * a chunk of one byte may be a view into the 64 KiB that were read from the connection, and would keep all of them.
 */
export function createFrameReader({ longest, message, failed, held }: FrameReaderOptions): (chunk: Buffer) => void {
  /** The beginning of a message, its head included, and how much of the buffer is filled. */
  let begun = nothing;
  let size = 0;
  /** How much the beginning has to have before a look at it can bring anything. */
  let needed = headBytes;
  let broken = false;

  function fail(error: FrameError): void {
    broken = true;
    begun = nothing;
    size = 0;
    failed(error);
  }

  /** The length of head and message; undefined when the message can't be taken. */
  function lengthOf(head: Buffer): number | undefined {
    const length = head.readUInt32BE(1);
    if (head[0] !== 0) fail("compressed");
    else if (length > longest()) fail("too-long");
    return broken ? undefined : headBytes + length;
  }

  /** Takes whole messages off the front; what is left is the beginning of one. */
  function takeWhole(bytes: Buffer): Buffer {
    let rest = bytes;
    while (!broken && rest.length >= headBytes) {
      const length = lengthOf(rest);
      if (length === undefined || rest.length < length) break;
      const whole = rest.subarray(headBytes, length);
      rest = rest.subarray(length);
      message(whole);
    }
    return rest;
  }

  function grow(wanted: number): void {
    if (begun.length >= wanted) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(wanted, Math.min(needed, 2 * begun.length)));
    begun.copy(grown, 0, 0, size);
    begun = grown;
  }

  /** Adds what the beginning lacks; what is left of the bytes comes after it. */
  function add(bytes: Buffer): Buffer {
    const part = bytes.subarray(0, needed - size);
    grow(size + part.length);
    part.copy(begun, size);
    size += part.length;
    if (size === needed && needed === headBytes) needed = lengthOf(begun) ?? needed;
    return bytes.subarray(part.length);
  }

  function finish(): void {
    const whole = begun.subarray(headBytes, size);
    begun = nothing;
    size = 0;
    needed = headBytes;
    message(whole);
  }

  return (chunk) => {
    let rest = chunk;
    while (!broken && rest.length > 0) {
      if (size === 0) rest = takeWhole(rest);
      if (broken || rest.length === 0) break;
      rest = add(rest);
      if (!broken && size === needed) finish();
    }
    held?.(begun.length);
  };
}
