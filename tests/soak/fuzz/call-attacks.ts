import { deltaPath, sotwPath } from "../../bench/storm-dialect.js";
import { secretPath } from "../../bench/storm-proxy.js";
import type { Random } from "../form/soak.js";
import { type Bytes, type CallAttack, type Message, raw } from "./attack.js";
import { knownTypes, liveNodes, methodPaths, nodeId, oddContentTypes, oddPaths } from "./grpc-words.js";
import { bytesField, tag, varint, varintField, wireTypes } from "./protobuf.js";

type Make = (random: Random) => CallAttack;

/** Where the two kinds of request keep what both have. */
interface Layout {
  readonly path: string;
  readonly node: number;
  readonly type: number;
  readonly names: number;
  readonly nonce: number;
  readonly error: number;
  readonly strings: readonly number[];
}

const delta: Layout = { path: deltaPath, node: 1, type: 2, names: 3, nonce: 6, error: 7, strings: [2, 3, 4, 6] };
const sotw: Layout = { path: sotwPath, node: 2, type: 4, names: 3, nonce: 5, error: 6, strings: [1, 3, 4, 5] };
const secrets: Layout = { ...sotw, path: secretPath };

const layoutOf = (random: Random) => random.pick([delta, delta, sotw, secrets]);

const headersOf = (path: string, more: Readonly<Record<string, string>> = {}) => ({
  ":method": "POST",
  ":path": path,
  "content-type": "application/grpc",
  te: "trailers",
  ...more,
});

function attack(name: string, random: Random, { path }: Layout, messages: readonly Message[]): CallAttack {
  return {
    kind: "calls",
    name,
    port: path === secretPath ? "sds" : "xds",
    sessions: 1 + random.below(3),
    streams: 1 + random.below(4),
    headers: headersOf(path, random.chance(0.3) ? { authorization: "not.a.token" } : {}),
    messages,
    reads: random.chance(0.8),
    again: true,
    ending: random.pick(["fin", "trailers", "reset", "destroy", "hold", "hold"]),
  };
}

const liveNode = (random: Random) => bytesField(1, random.pick(liveNodes));
const beginning = (random: Random, { node, type }: Layout, typeUrl = random.pick(knownTypes)) =>
  Buffer.concat([bytesField(node, liveNode(random)), bytesField(type, typeUrl)]);

/** Six digits at this offset within a field of bytes: after its tag and its length. */
const numbered = (field: number, times: number): Bytes => ({
  repeat: raw(bytesField(field, "000000")),
  times,
  rising: { at: [2], by: 1, as: "digits" },
});

const names: Make = (random) => {
  const layout = layoutOf(random);
  const times = random.pick([500, 5_000, 50_000, 500_000]);
  const body: Bytes = [raw(beginning(random, layout)), numbered(layout.names, times)];
  return { ...attack("subscriptions to names without number", random, layout, [{ body }]), sessions: 1, streams: 1 };
};

const longNames: Make = (random) => {
  const layout = layoutOf(random);
  const field = random.pick(layout.strings);
  const size = random.pick([1000, 100_000, 2_000_000]);
  const body: Bytes = [
    raw(beginning(random, layout)),
    raw(tag(field, 2)),
    raw(varint(size)),
    { repeat: raw(Buffer.from("n")), times: size },
  ];
  return attack("names as long as a message", random, layout, [{ body }]);
};

/** A field that no library writes: wrong wire type, false length, deep groups, invalid UTF-8, endless varints. */
function oddField(random: Random, field: number): Buffer {
  switch (random.below(9)) {
    case 0:
      return Buffer.concat([tag(field, random.below(8)), Buffer.from([1, 2, 3, 4])]);
    case 1:
      return bytesField(field, "short", random.pick([6n, 2n ** 31n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n]));
    case 2:
      return Buffer.concat(Array.from({ length: 5000 }, () => tag(field, wireTypes.startGroup)));
    case 3:
      return bytesField(field, Buffer.from([0xc3, 0x28, 0xff, 0xfe, 0xed, 0xa0, 0x80]));
    case 4:
      return varintField(field, -1);
    case 5:
      return Buffer.concat([tag(field, wireTypes.varint), Buffer.alloc(20, 255)]);
    case 6:
      return Buffer.concat(Array.from({ length: 2000 }, () => bytesField(field, "again")));
    case 7:
      return Buffer.concat([tag(0, 2), tag(2 ** 29, 0), tag(field, 7)]);
    default:
      return bytesField(field, nested(random.pick([10, 100, 3000]), field));
  }
}

/** Messages in messages, as a Struct in a node's metadata can have them. */
function nested(depth: number, field: number): Buffer {
  let inner: Buffer = Buffer.alloc(0);
  for (let level = 0; level < depth; level++) inner = bytesField(field, inner);
  return inner;
}

const grammar: Make = (random) => {
  const layout = layoutOf(random);
  const message = (first: boolean): Message => {
    const parts = first ? [beginning(random, layout)] : [bytesField(layout.type, random.pick(knownTypes))];
    for (let times = random.below(4); times > 0; times--) parts.push(oddField(random, 1 + random.below(9)));
    if (random.chance(0.3)) parts.push(bytesField(layout.nonce, random.pick(["stale", "", "0", "é".repeat(500)])));
    if (random.chance(0.2)) parts.reverse();
    const whole = Buffer.concat(parts);
    return { body: raw(random.chance(0.15) ? whole.subarray(0, random.below(whole.length)) : whole) };
  };
  const messages = Array.from({ length: 1 + random.below(5) }, (_, index) =>
    message(index === 0 && random.chance(0.9)),
  );
  return attack("requests that break protobuf's rules", random, layout, messages);
};

const metadata: Make = (random) => {
  const layout = layoutOf(random);
  const entry = (key: string, value: Uint8Array) =>
    bytesField(1, Buffer.concat([bytesField(1, key), bytesField(2, value)]));
  const size = random.pick([100, 10_000, 60_000]);
  const structs: readonly (() => Buffer)[] = [
    () => Buffer.concat(Array.from({ length: size }, (_, index) => entry(`k${index}`, bytesField(3, "v")))),
    () => entry("dataplaneTokenPath", bytesField(3, `/${random.below(1e9)}/${"a".repeat(4000)}`)),
    () => entry("__proto__", bytesField(5, entry("constructor", bytesField(3, "v")))),
    () => entry("dataplaneTokenPath", varintField(4, 1)),
    // A list in a list, as deep as a message can be.
    () => entry("deep", nested(random.pick([50, 2000, 20_000]), 6).subarray(0, 900_000)),
  ];
  const node = Buffer.concat([liveNode(random), bytesField(3, random.pick(structs)())]);
  const body = raw(Buffer.concat([bytesField(layout.node, node), bytesField(layout.type, random.pick(knownTypes))]));
  return attack("nodes with metadata of any size", random, layout, [{ body }]);
};

const refusals: Make = (random) => {
  const layout = random.pick([delta, sotw]);
  const size = random.pick([10, 5_000, 3_000_000]);
  const status: Bytes = [
    raw(Buffer.concat([varintField(1, 3), tag(2, 2), varint(size)])),
    { repeat: raw(Buffer.from("x")), times: size },
  ];
  const length = 2 + 1 + varint(size).length + size;
  const type = random.pick(knownTypes);
  const error: Bytes = [raw(bytesField(layout.type, type)), raw(tag(layout.error, 2)), raw(varint(length)), status];
  const nonce = random.chance(0.8) ? { nonce: layout.nonce } : {};
  const messages = [{ body: raw(beginning(random, layout, type)) }, { body: error, ...nonce }];
  return { ...attack("refusals of megabytes", random, layout, messages), reads: true };
};

const spoofs: Make = (random) => {
  const layout = layoutOf(random);
  const messages = [
    { body: raw(beginning(random, layout)) },
    { body: raw(bytesField(layout.type, random.pick(knownTypes))) },
  ];
  const shape = {
    sessions: 3,
    streams: 1 + random.below(40),
    ending: random.pick(["destroy", "reset", "hold"] as const),
  };
  return { ...attack("streams that come and go in the name of a live proxy", random, layout, messages), ...shape };
};

const strangers: Make = (random) => {
  const layout = layoutOf(random);
  const body = Buffer.concat([
    bytesField(layout.node, bytesField(1, nodeId(random))),
    bytesField(layout.type, random.pick([...knownTypes, "", "constructor", "type.googleapis.com/x"])),
  ]);
  return { ...attack("streams of nodes that nobody knows", random, layout, [{ body: raw(body) }]), streams: 30 };
};

const partial: Make = (random) => {
  const layout = layoutOf(random);
  const size = random.pick([1_000, 100_000, 4 * 1024 * 1024]);
  const body: Bytes = { repeat: raw(Buffer.alloc(1)), times: size - 1 };
  const shape = { streams: 1 + random.below(90), ending: "hold" as const, again: false };
  return {
    ...attack("messages that are announced and never end", random, layout, [{ body, announced: size }]),
    ...shape,
  };
};

const frames: Make = (random) => {
  const layout = layoutOf(random);
  const body = raw(beginning(random, layout));
  const shapes: readonly Message[] = [
    { body, flag: 1 },
    { body, flag: 255 },
    { body, announced: 2 ** 32 - 1 },
    { body, announced: 4 * 1024 * 1024 + 1 },
    { body, announced: 3 },
    { body: "", announced: 0 },
  ];
  const messages = Array.from({ length: 1 + random.below(30) }, () => random.pick(shapes));
  return attack("gRPC frames cut, oversized or compressed", random, layout, messages);
};

const misdirected: Make = (random) => {
  const layout = layoutOf(random);
  const headers = headersOf(
    random.chance(0.5) ? random.pick(oddPaths).replace("é", "e") || "/" : random.pick(methodPaths),
    {
      ":method": random.pick(["POST", "GET", "DELETE"]),
      ":scheme": random.pick(["http", "foo"]),
      "content-type": random.pick(["application/grpc", ...oddContentTypes]),
    },
  );
  return {
    ...attack("requests for what is not there", random, layout, [{ body: raw(beginning(random, layout)) }]),
    headers,
  };
};

/** Attacks by whole gRPC calls. */
export const callAttacks: readonly Make[] = [
  ...[names, longNames, grammar, grammar, grammar, metadata, refusals, spoofs, strangers],
  ...[partial, frames, misdirected],
];
