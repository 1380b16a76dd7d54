/** A length-prefixed gRPC message, framed once and written to every stream that needs it. */
export type Frame = Buffer & { readonly framed: unique symbol };

/** The prefix of each message: one byte for the compression flag, four for the length. */
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
  /** The maximum size of a message, in bytes; called for each message. */
  readonly longest: () => number;
  /** Called with each complete message; its buffer may be shared with messages of the same chunk. */
  message(bytes: Buffer): void;
  /** Called when the input is invalid; no callback follows. */
  failed(error: FrameError): void;
  /** Called after each chunk with the memory that the incomplete message occupies, in bytes. */
  held?(bytes: number): void;
}

const nothing = Buffer.alloc(0);

/**
 * Reassembles messages from the chunks of a stream. An incomplete message is copied into a growing buffer: a one-byte
 * chunk may be a view into the 64 KiB that were read from the connection, and would keep all of them in memory.
 */
export function createFrameReader({ longest, message, failed, held }: FrameReaderOptions): (chunk: Buffer) => void {
  /** The incomplete message with its prefix, and how much of the buffer is filled. */
  let begun = nothing;
  let size = 0;
  /** How many bytes the incomplete message must have before it is worth looking at again. */
  let needed = headBytes;
  let broken = false;

  function fail(error: FrameError): void {
    broken = true;
    begun = nothing;
    size = 0;
    failed(error);
  }

  /** The length of prefix and message; undefined if the message is not acceptable. */
  function lengthOf(head: Buffer): number | undefined {
    const length = head.readUInt32BE(1);
    if (head[0] !== 0) fail("compressed");
    else if (length > longest()) fail("too-long");
    return broken ? undefined : headBytes + length;
  }

  /** Delivers the complete messages at the front and returns the rest, an incomplete message. */
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

  /** Appends the missing bytes to the incomplete message and returns the bytes after them. */
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
