import { once } from "node:events";
import http2 from "node:http2";
import { connect, type Socket } from "node:net";
import * as assert from "uvu/assert";
import { createLogger } from "../../../src/lib/logger.js";
import { unfinishedBytes } from "../../../src/net/budget.js";
import { createFrameReader, frame } from "../../../src/net/grpc-frame.js";
import { type GrpcServer, type GrpcServerOptions, startGrpcServer, status } from "../../../src/net/grpc-server.js";
import { eventually } from "../../support/eventually.js";
import { suite } from "../../support/suite.js";

const test = suite("a gRPC server with untrusted clients");

const servers: GrpcServer[] = [];
const sessions: http2.ClientHttp2Session[] = [];
const sockets: Socket[] = [];

test.after.each(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) await server.close();
});

/** A server for which "hello" is a valid request; it answers "welcome" and counts rejections. */
async function open(limits: GrpcServerOptions["limits"] = {}) {
  const refused: string[] = [];
  let caught = 0;
  const server = await startGrpcServer({
    port: 0,
    host: "127.0.0.1",
    limits,
    logger: createLogger({ name: "test", level: "off" }),
    incidents: { refused: (limit) => void refused.push(limit), caught: () => void caught++ },
    methods: {
      "/a/b": (call) => ({
        message(bytes) {
          if (bytes.toString() === "hello") call.proved();
          call.write(frame(Buffer.from("welcome")));
        },
        closed() {},
      }),
      "/a/refuses": (call) => {
        call.end(status.notFound, "at once");
        return { message() {}, closed() {} };
      },
      "/a/throws": () => {
        throw new Error("on purpose");
      },
    },
  });
  servers.push(server);
  return { server, refused, caught: () => caught };
}

function dial({ port }: GrpcServer, options: http2.ClientSessionOptions = {}): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${port}`, options);
  session.on("error", () => {});
  sessions.push(session);
  return session;
}

interface Call {
  readonly stream: http2.ClientHttp2Stream;
  /** grpc-status and grpc-message, or how it ended otherwise. */
  readonly ended: Promise<string>;
}

function call(session: http2.ClientHttp2Session, path = "/a/b"): Call {
  // With another scheme a path need not begin with a slash (RFC 9113, 8.3.1).
  const headers = { ":method": "POST", ":scheme": path.startsWith("/") ? "http" : "foo", ":path": path };
  const stream = session.request({ ...headers, "content-type": "application/grpc" });
  const ended = new Promise<string>((resolve) => {
    const tell = (headers: http2.IncomingHttpHeaders) => {
      if (headers["grpc-status"] === undefined) return;
      resolve(`${headers["grpc-status"]} ${decodeURI(String(headers["grpc-message"] ?? ""))}`.trim());
    };
    stream.on("response", tell);
    stream.on("trailers", tell);
    stream.on("error", () => {});
    stream.on("close", () => resolve(`closed with ${stream.rstCode}`));
  });
  stream.resume();
  return { stream, ended };
}

const hello = frame(Buffer.from("hello"));

/** A well-behaved client is served. */
async function assertServes(server: GrpcServer): Promise<void> {
  const { stream } = call(dial(server));
  stream.write(hello);
  const [bytes] = (await once(stream, "data")) as [Buffer];
  assert.is(bytes.subarray(5).toString(), "welcome");
}

for (const path of ["constructor", "__proto__", "toString", "/constructor", "hasOwnProperty", "/a/b/", "/", "*"]) {
  test(`has no method ${path}, whatever every object has`, async () => {
    const { server, caught } = await open();
    assert.match(await call(dial(server), path).ended, /^12 there is no method/);
    assert.is(caught(), 0);
    await assertServes(server);
  });
}

test("survives a method that ends its call or throws at once", async () => {
  const { server, caught } = await open();
  assert.is(await call(dial(server), "/a/refuses").ended, "5 at once");
  assert.match(await call(dial(server), "/a/throws").ended, /^closed/);
  assert.is(caught(), 1);
  assert.is(server.calls(), 0);
  await assertServes(server);
});

test("ends a call without a valid request in time", async () => {
  const { server, refused } = await open({ first_message_time: 50 });
  const { stream, ended } = call(dial(server));
  stream.write(Buffer.from([0, 0, 0, 0, 9, 1]));
  assert.match(await ended, /^4 .*\(limit first_message_time\)/);
  const invalid = call(dial(server));
  invalid.stream.write(frame(Buffer.from("nonsense")));
  assert.match(await invalid.ended, /^4 /);
  assert.equal(refused, ["first_message_time", "first_message_time"]);
});

test("rejects a too long first message before it arrives, and accepts longer ones later", async () => {
  const { server, refused } = await open({ first_message: 100, message: 1_000 });
  const { stream, ended } = call(dial(server));
  stream.write(Buffer.from([0, 0, 0, 0, 101]));
  assert.is(await ended, "8 the first message is longer than 100 bytes (limit first_message)");
  const later = call(dial(server));
  // In one write: the second is measured before the first is handled.
  later.stream.write(Buffer.concat([hello, frame(Buffer.alloc(1_000))]));
  await once(later.stream, "data");
  later.stream.write(frame(Buffer.alloc(1_001)));
  assert.is(await later.ended, "8 a message is longer than 1000 bytes (limit message)");
  assert.equal(refused, ["first_message", "message"]);
});

test("closes a connection that sends no valid request, whatever else it sends", async () => {
  const { server, refused } = await open({ openingMs: 1_000 });
  const idle = dial(server);
  const busy = dial(server);
  await once(busy, "remoteSettings");
  const asking = setInterval(() => busy.destroyed || busy.ping(() => {}), 20);
  await eventually("both are closed", () => idle.closed && busy.closed);
  clearInterval(asking);
  assert.equal(refused, ["opening_time", "opening_time"]);
});

test("leaves a connection that has sent a valid request alone", async () => {
  const { server } = await open({ openingMs: 1_000, first_message_time: 1_000, settings_ack: 1_000 });
  const session = dial(server);
  const { stream } = call(session);
  stream.write(hello);
  await once(stream, "data");
  const stranger = dial(server);
  await eventually("a stranger's time is over", () => stranger.closed);
  stream.write(hello);
  await once(stream, "data");
  assert.is(session.destroyed, false);
});

/** Raw HTTP/2, for clients that Node's library can't simulate. */
async function raw({ port }: GrpcServer): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  sockets.push(socket);
  socket.on("error", () => {});
  socket.resume();
  await once(socket, "connect");
  return socket;
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

function http2Frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const settings = http2Frame(4, 0, 0);
/** Fields of a request, none of them compressed (RFC 7541, 6.2.2). */
const fields = (all: Readonly<Record<string, string>>) =>
  Buffer.concat(
    Object.entries(all).flatMap(([name, value]) => [
      Buffer.from([0]),
      ...[name, value].flatMap((text) => [Buffer.from([text.length]), Buffer.from(text)]),
    ]),
  );
const headersFrame = (stream: number, all: Readonly<Record<string, string>>) =>
  http2Frame(1, 4, stream, fields({ ":scheme": "http", ":authority": "x", ...all }));
const resetFrame = (stream: number) => http2Frame(3, 0, stream, Buffer.from([0, 0, 0, 8]));

for (const [what, request] of [
  ["no request of gRPC", { ":method": "GET", ":path": "/" }],
  ["an unknown method", { ":method": "POST", ":path": "/no/such", "content-type": "application/grpc" }],
  ["a known method", { ":method": "POST", ":path": "/a/b", "content-type": "application/grpc" }],
  ["a method that refuses at once", { ":method": "POST", ":path": "/a/refuses", "content-type": "application/grpc" }],
] as const) {
  test(`survives ${what} that is reset in the segment that brings it`, async () => {
    const { server, caught } = await open();
    for (let round = 0; round < 20; round++) {
      const socket = await raw(server);
      const both = Array.from({ length: 20 }, (_, index) => 2 * index + 1).flatMap((stream) => [
        headersFrame(stream, request),
        resetFrame(stream),
      ]);
      socket.write(Buffer.concat([preface, settings, ...both]));
      await once(socket, "data");
      socket.destroy();
    }
    await assertServes(server);
    assert.is(caught(), 0);
    await eventually("no call is left", () => server.calls() <= 1);
  });
}

test("closes a connection that never acknowledges our settings, though it has sent a valid request", async () => {
  const { server, refused } = await open({ settings_ack: 100 });
  const socket = await raw(server);
  const request = { ":method": "POST", ":path": "/a/b", "content-type": "application/grpc" };
  socket.write(Buffer.concat([preface, settings, headersFrame(1, request), http2Frame(0, 0, 1, hello)]));
  await eventually("it is closed", () => socket.closed);
  assert.equal(refused, ["settings_ack"]);
});

test("drops the oldest incomplete message when the budget of the process is exceeded", async () => {
  const { server, refused } = await open();
  const sessionsOf = Array.from({ length: 4 }, () => dial(server));
  const whole = 256 * 1024;
  const first = call(sessionsOf[0] as http2.ClientHttp2Session);
  const announced = Buffer.alloc(5 + whole - 1);
  announced.writeUInt32BE(whole, 1);
  first.stream.write(announced);
  await eventually("it holds something", () => unfinishedBytes.held() >= whole - 1);
  const others = Array.from({ length: 270 }, (_, index) => call(sessionsOf[index % 4] as http2.ClientHttp2Session));
  for (const { stream } of others) stream.write(announced);
  assert.match(await first.ended, /^8 .*\(limit unfinished\)/);
  assert.ok(unfinishedBytes.held() <= 64 * 1024 * 1024);
  assert.ok(refused.every((limit) => limit === "unfinished"));
  for (const session of sessionsOf) session.destroy();
  await eventually("all is given back", () => unfinishedBytes.held() === 0);
});

test("rejects calls beyond the limit, with a reason", async () => {
  const { server, refused } = await open({ calls: 2 });
  const session = dial(server);
  const held = [call(session), call(session)];
  for (const { stream } of held) {
    stream.write(hello);
    await once(stream, "data");
  }
  assert.match(await call(session).ended, /^8 there are 2 open calls already \(limit calls\)/);
  assert.equal(refused, ["calls"]);
  held[0]?.stream.close();
  await eventually("there is room again", async () => {
    const next = call(session);
    next.stream.write(hello);
    return (await Promise.race([once(next.stream, "data").then(() => "served"), next.ended])) === "served";
  });
});

test("makes connections of an address wait for earlier ones, and rejects none", async () => {
  const { server, refused } = await open({ perAddress: 4 });
  const before = Array.from({ length: 4 }, () => dial(server));
  await Promise.all(before.map((session) => once(session, "remoteSettings")));
  let served = 0;
  const storm = Array.from({ length: 300 }, async () => {
    const { stream } = call(dial(server));
    stream.write(hello);
    await once(stream, "data");
    served += 1;
  });
  await eventually("all of the storm waits", () => refused.length === storm.length);
  assert.is(served, 0);
  const { stream } = call(before[0] as http2.ClientHttp2Session);
  stream.write(hello);
  await Promise.all(storm);
  assert.equal([...new Set(refused)], ["connections_per_address"]);
});

test("keeps the received bytes of an incomplete message, not the chunks that contained them", () => {
  let held = 0;
  const read = createFrameReader({
    longest: () => 1_000_000,
    message: () => assert.unreachable("it is unfinished"),
    failed: () => assert.unreachable("nothing is wrong with it"),
    held: (bytes) => {
      held = bytes;
    },
  });
  const slab = Buffer.alloc(64 * 1024);
  slab.writeUInt32BE(1_000_000, 1);
  for (let index = 0; index < 100; index++) read(slab.subarray(index, index + 1));
  assert.ok(held <= 300, `${held} bytes are held of 100`);
});

test.run();
