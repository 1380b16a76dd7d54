/** Protobuf's wire format, written and read by hand: what a library would refuse to write is the point. */
export const wireTypes = { varint: 0, fixed64: 1, bytes: 2, startGroup: 3, endGroup: 4, fixed32: 5 } as const;

export function varint(value: bigint | number): Buffer {
  // A negative number takes all ten bytes, as int32 and int64 have it.
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}

export const tag = (field: number, wire: number) => varint(BigInt(field) * 8n + BigInt(wire));

/** A field of bytes, a string or a message. `length` is what it claims to hold; its own when left out. */
export function bytesField(field: number, value: string | Uint8Array, length?: number | bigint): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([tag(field, wireTypes.bytes), varint(length ?? bytes.length), bytes]);
}

export const varintField = (field: number, value: bigint | number) =>
  Buffer.concat([tag(field, wireTypes.varint), varint(value)]);

function readVarint(bytes: Buffer, at: number): [value: number, next: number] {
  let value = 0;
  for (let index = 0; index < 10; index++) {
    const byte = bytes[at + index];
    if (byte === undefined) break;
    value += (byte & 127) * 2 ** (7 * index);
    if (byte < 128) return [value, at + index + 1];
  }
  return [0, bytes.length];
}

/** The first value of a field of bytes; undefined when the message has none or is malformed before it. */
export function fieldBytes(message: Buffer, field: number): Buffer | undefined {
  for (let at = 0; at < message.length; ) {
    const [key, start] = readVarint(message, at);
    const [value, next] = readVarint(message, start);
    if ((key & 7) === wireTypes.varint) at = next;
    else if ((key & 7) === wireTypes.bytes) {
      if (Math.floor(key / 8) === field) return message.subarray(next, next + value);
      at = next + value;
    } else if ((key & 7) === wireTypes.fixed64) at = start + 8;
    else if ((key & 7) === wireTypes.fixed32) at = start + 4;
    else return undefined;
  }
  return undefined;
}
