import type { Random } from "../form/soak.js";
import { type Bytes, bytesOf, type Move, type Port, type RawAttack, raw, text } from "./attack.js";
import { bombRequest, type Request, readRequest, writeRequest } from "./json-bodies.js";

type Make = (random: Random) => RawAttack;

const httpPorts: readonly Port[] = ["api", "api", "api", "bootstrap", "tokens", "health"];

function attack(name: string, random: Random, moves: readonly Move[], more: Partial<RawAttack> = {}): RawAttack {
  const shape = { connections: 1 + random.below(8), reads: random.chance(0.8), acknowledges: false, again: true };
  return { kind: "raw", name, port: random.pick(httpPorts), ...shape, moves, ...more };
}

const oddHeaders: readonly string[] = [
  ...[
    "Accept: */*;q=x",
    "Accept: text/html;q=0,,,;",
    `Accept: ${"a/b,".repeat(2000)}x`,
    "Content-Type: application/yaml",
  ],
  ...[
    "Content-Type: ",
    "Content-Type: application/json; charset=utf-16",
    "Origin: null",
    "Origin: http://evil.example",
  ],
  ...["Sec-Fetch-Site: cross-site", "Forwarded: for=127.0.0.1", "X-Forwarded-For: 127.0.0.1", "Via: 1.1 x"],
  ...["__proto__: x", "constructor: x", "Range: bytes=0-0,1-1", "If-None-Match: *", "Accept-Encoding: gzip;q=1e9"],
];

const oddHosts = [
  "localhost",
  "localhost",
  "localhost",
  "evil.example",
  "[::1",
  "",
  "a b",
  "localhost:99999",
  "x".repeat(5000),
];

/** A request as HTTP/1.1. */
function written(random: Random, { method, path, body }: Request, oddly = 0.2): Bytes {
  const bytes = body === undefined ? Buffer.alloc(0) : bytesOf(body);
  const headers = [`Host: ${random.chance(oddly) ? random.pick(oddHosts) : "localhost"}`];
  if (body !== undefined && !random.chance(oddly / 2)) headers.push("Content-Type: application/json");
  while (random.chance(oddly)) headers.push(random.pick(oddHeaders));
  const head = (more: string) => text(`${method} ${path} HTTP/1.1\r\n${[...headers, more].join("\r\n")}\r\n\r\n`);
  if (body === undefined) return text(`${method} ${path} HTTP/1.1\r\n${headers.join("\r\n")}\r\n\r\n`);
  if (random.chance(oddly) && bytes.length < 2000) {
    const size = 1 + random.below(200);
    const chunks: Bytes[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      const chunk = bytes.subarray(at, at + size);
      chunks.push(text(`${chunk.length.toString(16)}\r\n`), raw(chunk), text("\r\n"));
    }
    return [head("Transfer-Encoding: chunked"), ...chunks, text("0\r\n\r\n")];
  }
  return [head(`Content-Length: ${bytes.length}`), body];
}

const resources: Make = (random) => {
  const requests = Array.from({ length: 1 + random.below(25) }, () =>
    written(random, random.chance(0.7) ? writeRequest(random) : readRequest(random), 0.05),
  );
  return attack("resources that are nearly valid", random, [{ send: requests }, { waitMs: 200 }], { port: "api" });
};

const bombs: Make = (random) =>
  attack(
    "bodies that cost more to read than to write",
    random,
    [{ send: written(random, bombRequest(random), 0) }, { waitMs: 400 }],
    { port: "api", connections: 1 + random.below(3) },
  );

/** Bodies for the servers that are not the API. */
const requests: Make = (random) => {
  const port = random.pick(["bootstrap", "tokens"] as const);
  const value = () =>
    random.pick(['"default"', '"web-1"', '"__proto__"', "1", "null", "[]", '"10s"', `"${"x".repeat(3000)}"`]);
  const fields = ["mesh", "name", "validFor", "adminPort", "dataplaneTokenPath", "__proto__", "logDirectories"];
  const body = () => `{${Array.from({ length: random.below(6) }, () => `"${random.pick(fields)}":${value()}`).join()}}`;
  const path = random.pick([port === "tokens" ? "/tokens" : "/bootstrap", "/secrets", "/catalog", "/__proto__"]);
  const all = Array.from({ length: 1 + random.below(20) }, () =>
    written(random, { method: random.pick(["POST", "POST", "GET", "PUT"]), path, body: text(body()) }, 0.1),
  );
  return attack("bodies for the bootstrap and token servers", random, [{ send: all }, { waitMs: 100 }], { port });
};

const shapes: readonly Bytes[] = [
  text("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
  text(
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
  ),
  text("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
  text("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
  text("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello"),
  text("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\nhello"),
  text("GET /meshes HTTP/1.1\nHost: a\n\n"),
  text("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
  text("GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n"),
  text("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
  text("GET / HTTP/1.1\r\n\r\n"),
  text("GET / HTTP/0.9\r\n\r\n"),
  text("GET / HTTP/9.9\r\nHost: a\r\n\r\n"),
  text("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nmore bytes"),
  text("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
  text("GET http://[::1 HTTP/1.1\r\nHost: a\r\n\r\n"),
  text("GET http://other.example/meshes HTTP/1.1\r\nHost: a\r\n\r\n"),
  text("GET /meshes/%ff%zz/dataplanes/%2e%2e%2f HTTP/1.1\r\nHost: a\r\n\r\n"),
  text("GET /meshes/../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n"),
  text("GET //evil.example/%5c HTTP/1.1\r\nHost: a\r\n\r\n"),
  text("GET /?%=%&&&==&tag HTTP/1.1\r\nHost: a\r\n\r\n"),
  text("__proto__ / HTTP/1.1\r\nHost: a\r\n\r\n"),
  text(
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\n\r\n",
  ),
  text("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nbytes"),
  text("PUT /meshes/m HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"),
  text("PUT /meshes/m HTTP/1.1\r\nHost: localhost\r\nExpect: miracles\r\nContent-Length: 5\r\n\r\n"),
  text("PUT /meshes/m HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n"),
  text("PUT /meshes/m HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nab\r\n0\r\n\r\n"),
  text(
    "PUT /meshes/m HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: a\r\n\r\n0\r\na: b\r\n\r\n",
  ),
  [
    text("PUT /meshes/m HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;"),
    { repeat: text("a"), times: 100_000 },
  ],
  [
    text("PUT /meshes/m HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"),
    { repeat: text("1\r\na\r\n"), times: 50_000 },
  ],
  [text("GET / HTTP/1.1\r\nHost: a\r\nX: "), { repeat: text("a"), times: 20_000 }, text("\r\n\r\n")],
  [text("GET / HTTP/1.1\r\nHost: a\r\n"), { repeat: text("a: b\r\n"), times: 3_000 }, text("\r\n")],
  [text("GET /"), { repeat: text("meshes/"), times: 2_000 }, text(" HTTP/1.1\r\nHost: a\r\n\r\n")],
  text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  raw(Buffer.from([0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3])),
];

const malformed: Make = (random) => {
  const sends: Bytes[] = [];
  for (let times = 1 + random.below(4); times > 0; times--) {
    const shape = random.pick(shapes);
    if (!random.chance(0.3)) sends.push(shape);
    else {
      const bytes = Buffer.from(bytesOf(shape));
      for (let more = 1 + random.below(4); more > 0; more--) bytes[random.below(bytes.length)] = random.below(256);
      sends.push(raw(random.chance(0.3) ? bytes.subarray(0, random.below(bytes.length)) : bytes));
    }
  }
  const piece = random.chance(0.3) ? { piece: 1 + random.below(30), everyMs: 1 } : {};
  return attack("requests that HTTP/1.1 forbids", random, [{ send: sends, ...piece }, { waitMs: 50 }], {
    connections: 1 + random.below(30),
  });
};

const pipelines: Make = (random) => {
  const request = written(random, readRequest(random), 0.05);
  return attack(
    "requests one after another, their answers unread",
    random,
    [{ send: { repeat: request, times: random.pick([50, 1000, 5000]) } }, { waitMs: 500 }],
    { reads: random.chance(0.3) },
  );
};

const slow: Make = (random) =>
  attack(
    "requests that arrive byte by byte",
    random,
    [
      { send: text("GET / HTTP/1.1\r\nHost: a\r\nX") },
      { send: { repeat: text("a"), times: 1000 }, piece: 1, everyMs: 20 + random.below(100) },
    ],
    { connections: 20 + random.below(130), again: false },
  );

const held: Make = (random) => {
  const length = random.pick([1000, 1_000_000, 1_048_576, 1_048_577, 9_000_000]);
  const head = `PUT /meshes/m HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;
  const sent: Bytes = { repeat: text(" "), times: Math.min(length - 1, random.pick([1, 50_000])) };
  return attack("bodies that never end", random, [{ send: [text(head), sent] }], {
    connections: 20 + random.below(100),
    again: false,
  });
};

/** Attacks by HTTP/1. */
export const httpAttacks: readonly Make[] = [
  ...[resources, resources, resources, bombs, bombs, requests, malformed, malformed, pipelines, slow, held],
];
