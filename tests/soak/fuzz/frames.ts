/** HTTP/2 frames and HPACK, as RFC 9113 and RFC 7541 have them, for writing what no library writes. */
export const frameTypes = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const flags = { endStream: 1, acknowledge: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

export const settingIds = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

interface FrameParts {
  readonly flags?: number;
  readonly stream?: number;
  readonly payload?: Uint8Array;
  /** The length that the frame claims; the payload's own when left out. */
  readonly length?: number;
}

/** Where a frame keeps the id of its stream. */
export const streamIdOffset = 5;

export function frame(type: number, { flags: bits = 0, stream = 0, payload = Buffer.alloc(0), length }: FrameParts) {
  const head = Buffer.alloc(9);
  head.writeUIntBE((length ?? payload.length) & 0xffffff, 0, 3);
  head.writeUInt8(type & 0xff, 3);
  head.writeUInt8(bits & 0xff, 4);
  head.writeUInt32BE(stream >>> 0, streamIdOffset);
  return Buffer.concat([head, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export const settingsFrame = (pairs: readonly (readonly [id: number, value: number])[], bits = 0) =>
  frame(frameTypes.settings, {
    flags: bits,
    payload: Buffer.concat(
      pairs.map(([id, value]) => Buffer.concat([Buffer.from([id >> 8, id & 255]), uint32(value)])),
    ),
  });

/** An HPACK integer with a prefix of so many bits, under the pattern of the bits before it. */
function integer(value: number, bits: number, pattern = 0): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.from([pattern | value]);
  const bytes = [pattern | most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

const plain = (words: string) => {
  const bytes = Buffer.from(words, "latin1");
  return Buffer.concat([integer(bytes.length, 7), bytes]);
};

export const hpack = {
  /** A field that enters no table. */
  literal: (name: string, value: string) => Buffer.concat([Buffer.from([0]), plain(name), plain(value)]),
  /** A field that enters the dynamic table. */
  indexed: (name: string, value: string) => Buffer.concat([Buffer.from([0x40]), plain(name), plain(value)]),
  reference: (index: number) => integer(index, 7, 0x80),
  resize: (size: number) => integer(size, 5, 0x20),
  /** A value that claims to be Huffman-coded. */
  huffman: (name: string, bytes: Uint8Array) =>
    Buffer.concat([Buffer.from([0]), plain(name), integer(bytes.length, 7, 0x80), bytes]),
};

export const block = (fields: Readonly<Record<string, string>>) =>
  Buffer.concat(Object.entries(fields).map(([name, value]) => hpack.literal(name, value)));

/** A gRPC message in its frame. */
export function grpcFrame(body: Uint8Array, flag = 0, announced = body.length): Buffer {
  return Buffer.concat([Buffer.from([flag & 255]), uint32(announced), body]);
}
