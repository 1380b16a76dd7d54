/** The method of aggregated discovery that Envoys with our bootstrap call. */
export const deltaMethod = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

/** Frames a gRPC message. */
export function framed(message: Uint8Array, flag = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag, 0);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** The message in a gRPC frame. */
export const unframed = (bytes: Buffer): Buffer => bytes.subarray(5);

/** A length-delimited protobuf field. */
export function field(number: number, content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content);
  const varint: number[] = [];
  for (let rest = bytes.length; ; rest = Math.floor(rest / 128)) {
    varint.push(rest > 127 ? (rest % 128) | 128 : rest);
    if (rest <= 127) break;
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...varint]), bytes]);
}

/**
 * A framed first delta request of a node. It is written by hand, because the generated Node class belongs to another
 * module.
 */
export const firstRequest = (id: string, typeUrl: string, ...more: Uint8Array[]): Buffer =>
  framed(Buffer.concat([field(1, field(1, id)), field(2, typeUrl), ...more]));
