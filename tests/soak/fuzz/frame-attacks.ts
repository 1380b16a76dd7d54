import type { Random } from "../form/soak.js";
import { type Bytes, type Move, type RawAttack, raw } from "./attack.js";
import {
  block,
  flags,
  frame,
  frameTypes,
  grpcFrame,
  hpack,
  preface,
  settingIds,
  settingsFrame,
  streamIdOffset,
  uint32,
} from "./frames.js";
import { firstRequest, methodPaths, oddContentTypes, oddPaths } from "./grpc-words.js";

type Make = (random: Random) => RawAttack;

/** A number as hostile as its field allows. */
const odd32 = (random: Random) =>
  random.pick([0, 1, 100, 4095, 4096, 16_383, 16_384, 65_535, 65_536, 2 ** 24, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]);

const requestHeaders = (random: Random, path = random.pick(methodPaths)) => ({
  ":method": random.chance(0.9) ? "POST" : random.pick(["GET", "HEAD", "OPTIONS", "TRACE", "constructor", ""]),
  // With "http" the HTTP/2 library itself refuses a path that does not begin with a slash.
  ":scheme": path.startsWith("/") && random.chance(0.9) ? "http" : random.pick(["https", "foo", "foo", ""]),
  ":path": path,
  ":authority": random.chance(0.9) ? "localhost" : random.pick(["", "a b", "x".repeat(3000), "[::1"]),
  "content-type": random.chance(0.9) ? "application/grpc" : random.pick(oddContentTypes),
  te: "trailers",
});

const headersFrame = (stream: number, payload: Uint8Array, bits: number = flags.endHeaders) =>
  frame(frameTypes.headers, { stream, payload, flags: bits });
const dataFrame = (stream: number, payload: Uint8Array, bits = 0) =>
  frame(frameTypes.data, { stream, payload, flags: bits });
const resetFrame = (stream: number, code = 8) => frame(frameTypes.reset, { stream, payload: uint32(code) });
const pingFrame = (bits = 0) => frame(frameTypes.ping, { flags: bits, payload: Buffer.alloc(8, 7) });
const windowFrame = (stream: number, by: number) => frame(frameTypes.windowUpdate, { stream, payload: uint32(by) });

const hello = (settings: Buffer = settingsFrame([])) => raw(Buffer.concat([preface, settings]));

function attack(name: string, random: Random, moves: readonly Move[], more: Partial<RawAttack> = {}): RawAttack {
  const port = random.chance(0.75) ? "xds" : "sds";
  const connections = 1 + random.below(port === "sds" ? 4 : 10);
  const shape = { connections, reads: random.chance(0.7), acknowledges: random.chance(0.5), again: true };
  return { kind: "raw", name, port, ...shape, moves, ...more };
}

/** The bytes again and again, their stream ids rising by two. */
const onRisingStreams = (frames: readonly Buffer[], times: number): Bytes => {
  let offset = 0;
  const at: number[] = [];
  for (const each of frames) {
    at.push(offset + streamIdOffset);
    offset += each.length;
  }
  return { repeat: raw(Buffer.concat(frames)), times, rising: { at, by: 2, as: "uint32" } };
};

/** A conversation as a good client has it, frame by frame. */
function conversation(random: Random): Buffer[] {
  const frames: Buffer[] = [settingsFrame([]), settingsFrame([], flags.acknowledge)];
  for (let stream = 1; stream < 2 + 2 * random.below(6); stream += 2) {
    frames.push(headersFrame(stream, block(requestHeaders(random))));
    frames.push(dataFrame(stream, grpcFrame(firstRequest(random))));
    if (random.chance(0.3)) frames.push(dataFrame(stream, grpcFrame(firstRequest(random)), flags.endStream));
    if (random.chance(0.3)) frames.push(resetFrame(stream));
    if (random.chance(0.3)) frames.push(windowFrame(stream, 65_535));
    if (random.chance(0.2)) frames.push(pingFrame());
  }
  return frames;
}

/** One frame with something about it that no good client writes. */
function spoilt(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  switch (random.below(7)) {
    case 0:
      return copy.subarray(0, random.below(copy.length));
    case 1:
      copy.writeUInt8(random.below(256), 3);
      return copy;
    case 2:
      copy.writeUInt8(random.below(256), 4);
      return copy;
    case 3:
      copy.writeUInt32BE(random.chance(0.5) ? random.below(12) : odd32(random), streamIdOffset);
      return copy;
    case 4:
      copy.writeUIntBE(odd32(random) & 0xffffff, 0, 3);
      return copy;
    case 5:
      return Buffer.concat([copy, copy]);
    default:
      for (let times = 1 + random.below(4); times > 0; times--) copy[random.below(copy.length)] = random.below(256);
      return copy;
  }
}

const soup: Make = (random) => {
  const frames = conversation(random).map((each) => (random.chance(0.15) ? spoilt(each, random) : each));
  for (let swaps = random.below(4); swaps > 0; swaps--) {
    const [from, to] = [random.below(frames.length), random.below(frames.length)];
    const [moved, other] = [frames[from], frames[to]];
    if (moved !== undefined && other !== undefined) [frames[from], frames[to]] = [other, moved];
  }
  const bytes = raw(Buffer.concat([preface, ...frames]));
  const moves: Move[] = random.chance(0.3)
    ? [{ send: bytes, piece: 1 + random.below(40), everyMs: random.below(5) }]
    : [{ send: bytes }];
  return attack("frames cut, changed, repeated and reordered", random, [
    ...moves,
    { waitMs: random.below(100) },
    { end: random.chance(0.5) ? "fin" : "reset" },
  ]);
};

const resets: Make = (random) => {
  const path = random.chance(0.5) ? random.pick(methodPaths) : random.pick(oddPaths);
  const frames = [headersFrame(1, block(requestHeaders(random, path)))];
  if (random.chance(0.3)) frames.push(dataFrame(1, grpcFrame(firstRequest(random))));
  frames.push(resetFrame(1, random.below(14)));
  const times = 1 + random.below(random.pick([20, 200, 4000]));
  return attack("requests reset in the segment that brings them", random, [
    { send: [hello(), onRisingStreams(frames, times)] },
    { waitMs: 50 },
  ]);
};

const settings: Make = (random) => {
  const pairs = Array.from(
    { length: random.pick([1, 3, 30, 2000]) },
    () => [random.chance(0.8) ? 1 + random.below(6) : random.below(65_536), odd32(random)] as const,
  );
  const tables = [
    settingsFrame([[settingIds.headerTableSize, 0]]),
    settingsFrame([[settingIds.headerTableSize, 2 ** 32 - 1]]),
  ];
  const windows = [2 ** 31 - 1, 0, 1].map((size) => settingsFrame([[settingIds.initialWindowSize, size]]));
  const body = random.pick([settingsFrame(pairs), Buffer.concat(tables), Buffer.concat(windows), settingsFrame([], 1)]);
  return attack("SETTINGS of any kind and number", random, [
    { send: hello() },
    { send: raw(headersFrame(1, block(requestHeaders(random)))) },
    { send: { repeat: raw(body), times: 1 + random.below(random.pick([3, 100, 2000])) } },
    { waitMs: 100 },
  ]);
};

const pings: Make = (random) =>
  attack("PINGs without end", random, [
    { send: hello() },
    { send: { repeat: raw(random.chance(0.8) ? pingFrame() : pingFrame(1)), times: 20_000 } },
  ]);

const windows: Make = (random) => {
  const small = settingsFrame([[settingIds.initialWindowSize, random.pick([0, 1, 10])]]);
  const frames = [
    headersFrame(1, block(requestHeaders(random))),
    dataFrame(1, grpcFrame(firstRequest(random))),
    random.chance(0.5) ? windowFrame(1, random.pick([0, 1, 2 ** 31 - 1, 2 ** 31])) : windowFrame(1, 1),
  ];
  const last = random.pick([
    windowFrame(0, 2 ** 31 - 1),
    windowFrame(0, 0),
    windowFrame(99, 5),
    settingsFrame([[settingIds.initialWindowSize, 2 ** 31 - 1]]),
    Buffer.alloc(0),
  ]);
  return attack("windows that are zero, tiny or overflow", random, [
    { send: hello(small) },
    { send: onRisingStreams(frames, 1 + random.below(150)) },
    { send: { repeat: raw(windowFrame(random.pick([0, 1]), 1)), times: random.pick([0, 100, 5000]) } },
    { send: raw(last) },
    { waitMs: 300 },
  ]);
};

const continuations: Make = (random) => {
  const payload = random.pick([
    hpack.literal("x", "y".repeat(random.below(1000))),
    Buffer.alloc(0),
    hpack.huffman("x", Buffer.alloc(40, 255)),
    Buffer.concat([hpack.resize(0), hpack.resize(4096)]),
  ]);
  const one = frame(frameTypes.continuation, { stream: random.chance(0.9) ? 1 : 3, payload });
  const between = random.chance(0.2) ? [raw(pingFrame())] : [];
  return attack("header blocks that never end", random, [
    { send: [hello(), raw(headersFrame(1, block(requestHeaders(random)), random.chance(0.3) ? 1 : 0))] },
    { send: [...between, { repeat: raw(one), times: random.pick([10, 500, 5000]) }] },
    { send: random.chance(0.5) ? raw(frame(frameTypes.continuation, { stream: 1, flags: flags.endHeaders })) : "" },
    { waitMs: 100 },
  ]);
};

const references: Make = (random) => {
  const fields = block(requestHeaders(random));
  const big = hpack.indexed("x", "y".repeat(random.pick([100, 3900, 5000])));
  const first = headersFrame(1, Buffer.concat([fields, big]));
  const number = random.pick([1, 20, 120, 4000]);
  const index = random.pick([62, 62, 62, 1, 61, 63, 0, 2 ** 20]);
  const again = Buffer.concat(Array.from({ length: number }, () => hpack.reference(index)));
  const resized = random.chance(0.3) ? [hpack.resize(random.pick([0, 4096, 2 ** 30]))] : [];
  const next = headersFrame(3, Buffer.concat([...resized, fields, again]).subarray(0, 16_384));
  const frames = random.chance(0.4) ? [next, resetFrame(3)] : [next];
  return attack("header blocks of references into the dynamic table", random, [
    { send: [hello(), raw(first)] },
    { send: onRisingStreams(frames, 1 + random.below(random.pick([30, 1000]))) },
    { waitMs: 50 },
  ]);
};

const streams: Make = (random) =>
  attack("streams without number", random, [
    { send: [hello(), onRisingStreams([headersFrame(1, block(requestHeaders(random)))], 3000)] },
    { waitMs: 200 },
  ]);

const emptyData: Make = (random) => {
  const padded = frame(frameTypes.data, { stream: 1, flags: flags.padded, payload: Buffer.alloc(256, 255) });
  const one = random.pick([dataFrame(1, Buffer.alloc(0)), padded, dataFrame(1, Buffer.from([0]))]);
  return attack("DATA without data", random, [
    { send: [hello(), raw(headersFrame(1, block(requestHeaders(random))))] },
    { send: { repeat: raw(one), times: random.pick([300, 20_000]) } },
  ]);
};

const padding: Make = (random) => {
  const claimed = Buffer.concat([Buffer.from([random.pick([0, 1, 200, 255])]), grpcFrame(firstRequest(random))]);
  const shapes = [
    frame(frameTypes.data, { stream: 1, flags: flags.padded, payload: claimed.subarray(0, 1 + random.below(60)) }),
    frame(frameTypes.headers, { stream: 3, flags: flags.padded | flags.endHeaders, payload: Buffer.from([255]) }),
    frame(frameTypes.headers, { stream: 3, flags: flags.priority | flags.endHeaders, payload: Buffer.from([0, 0]) }),
    frame(frameTypes.data, { stream: 1, flags: flags.padded }),
  ];
  return attack("padding that is longer than its frame", random, [
    { send: [hello(), raw(headersFrame(1, block(requestHeaders(random)))), raw(random.pick(shapes))] },
    { waitMs: 50 },
  ]);
};

const oversized: Make = (random) => {
  const type = random.below(12);
  const length = random.pick([16_385, 65_536, 0xffffff]);
  const head = frame(type, { stream: random.pick([0, 1]), length });
  return attack("frames longer than allowed", random, [
    { send: [hello(), raw(headersFrame(1, block(requestHeaders(random)))), raw(head)] },
    { send: { repeat: raw(Buffer.alloc(1024, 65)), times: 256 } },
    { waitMs: 50 },
  ]);
};

const control: Make = (random) => {
  const dependency = (stream: number, on: number) =>
    frame(frameTypes.priority, { stream, payload: Buffer.concat([uint32(on), Buffer.from([255])]) });
  const kinds: readonly Bytes[] = [
    raw(frame(frameTypes.goaway, { payload: Buffer.concat([uint32(0), uint32(0), Buffer.alloc(5000, 66)]) })),
    { repeat: raw(Buffer.concat([dependency(1, 3), dependency(3, 1), dependency(5, 5)])), times: 5000 },
    raw(frame(frameTypes.push, { stream: 1, flags: flags.endHeaders, payload: uint32(2) })),
    { repeat: raw(frame(200, { stream: 1, payload: Buffer.alloc(100) })), times: 3000 },
    { repeat: raw(frame(10, { payload: Buffer.from("\0\0alt-svc") })), times: 100 },
  ];
  return attack("GOAWAY, PRIORITY loops, pushes and frames of unknown types", random, [
    { send: [hello(), raw(headersFrame(1, block(requestHeaders(random))))] },
    { send: random.pick(kinds) },
    { send: raw(headersFrame(3, block(requestHeaders(random)))) },
    { waitMs: 50 },
  ]);
};

const paths: Make = (random) => {
  const frames = oddPaths.map((path, index) => headersFrame(1 + 2 * index, block(requestHeaders(random, path))));
  const ends = oddPaths.map((_, index) => (random.chance(0.5) ? resetFrame(1 + 2 * index) : Buffer.alloc(0)));
  return attack("requests that are none of gRPC's", random, [
    { send: hello() },
    { send: raw(Buffer.concat(frames)) },
    { waitMs: 30 },
    { send: raw(Buffer.concat(ends)) },
    { waitMs: 30 },
  ]);
};

const junk: Make = (random) => {
  const bytes = Buffer.from(Array.from({ length: 1 + random.below(2000) }, () => random.below(256)));
  const start = random.pick([
    "",
    raw(preface),
    raw(preface.subarray(0, 12)),
    raw(Buffer.from("GET / HTTP/1.1\r\n\r\n")),
  ]);
  return attack("bytes that are no HTTP/2", random, [{ send: [start, raw(bytes)] }, { waitMs: 30 }], {
    connections: 10 + random.below(30),
  });
};

const idle: Make = (random) => {
  const call = [headersFrame(1, block(requestHeaders(random))), dataFrame(1, Buffer.from([0, 0, 64, 0, 0, 1]))];
  const send = random.pick<Bytes>([hello(), [hello(), onRisingStreams(call, 1 + random.below(90))], raw(preface)]);
  return attack("connections and calls that never say who they are", random, [{ send }], {
    connections: 20 + random.below(130),
    again: false,
    acknowledges: true,
  });
};

/** Attacks by HTTP/2 frames. */
export const frameAttacks: readonly Make[] = [
  ...[soup, soup, soup, resets, settings, pings, windows, continuations, references],
  ...[streams, emptyData, padding, oversized, control, paths, junk, idle],
];
