import { connect, type Socket } from "node:net";
import * as assert from "uvu/assert";
import { createLogger } from "../../../src/lib/logger.js";
import type { HttpHandler, LiveSink } from "../../../src/net/exchange.js";
import { type HttpServer, startHttpServer } from "../../../src/net/http-server.js";
import { streamLimits } from "../../../src/net/limits.js";
import { createOpenStreams } from "../../../src/net/open-streams.js";
import { eventually } from "../../support/eventually.js";
import { suite } from "../../support/suite.js";

const test = suite("responses that stay open");

const logger = createLogger({ name: "test", level: "off" });
const running = new Set<HttpServer>();
const sockets = new Set<Socket>();
let refused: string[] = [];
/** The sinks of all clients. */
let sinks = new Set<LiveSink>();
let begun = 0;
let stopped = 0;

/** Starts the responses to `/late`. */
let release = () => {};

const live: HttpHandler = async ({ path }) => {
  if (path === "/late") {
    await new Promise<void>((resolve) => {
      release = resolve;
    });
  }
  return {
    status: 200,
    headers: { "Content-Type": "text/event-stream" },
    body(sink) {
      begun += 1;
      if (path === "/broken") throw new Error("secret inside");
      sinks.add(sink);
      return () => {
        sinks.delete(sink);
        stopped += 1;
      };
    },
  };
};

async function serve(idleMs = 60_000): Promise<HttpServer> {
  const server = await startHttpServer({
    port: 0,
    host: "127.0.0.1",
    setting: "TEST_PORT",
    layers: [],
    handler: live,
    logger,
    limits: { idleMs },
    incidents: { refused: (limit) => void refused.push(limit), caught() {} },
  });
  running.add(server);
  return server;
}

/** A client that sends a request and keeps what it reads. */
function open({ port }: HttpServer, { path = "/", method = "GET", from = "127.0.0.1" } = {}) {
  const socket = connect({ port, host: "127.0.0.1", localAddress: from });
  sockets.add(socket);
  const seen = { text: "", bytes: 0, ended: false };
  socket.on("data", (chunk: Buffer) => {
    seen.bytes += chunk.length;
    if (seen.text.length < 10_000) seen.text += chunk.toString("latin1");
  });
  for (const event of ["close", "error"]) {
    socket.on(event, () => {
      seen.ended = true;
    });
  }
  socket.write(`${method} ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  return { socket, seen, until: (pattern: RegExp) => eventually(`${pattern}`, () => pattern.test(seen.text)) };
}

const send = (text: string) => {
  for (const sink of sinks) sink.send(text);
};

test.before.each(() => {
  refused = [];
  release = () => {};
  sinks = new Set();
  begun = 0;
  stopped = 0;
});
test.after.each(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  for (const server of running) await server.close();
  running.clear();
});

test("start at once, deliver each piece when it is available, and stop when the client disconnects", async () => {
  const client = open(await serve());
  await client.until(/^HTTP\/1\.1 200 OK[\s\S]*text\/event-stream[\s\S]*\r\n\r\n$/);
  send("data: 1\n\n");
  await client.until(/data: 1\n\n/);
  send("data: 2\n\n");
  await client.until(/data: 2\n\n/);
  assert.not(client.seen.ended);
  client.socket.destroy();
  await eventually("it is stopped", () => stopped === 1);
  assert.is(sinks.size, 0);
});

test("end once, with nothing after the end", async () => {
  const client = open(await serve());
  await eventually("it is open", () => sinks.size === 1);
  const [sink] = sinks;
  sink?.send("last");
  sink?.end();
  sink?.end();
  sink?.send("too late");
  await client.until(/last\r\n0\r\n\r\n$/);
  await eventually("the connection is closed", () => client.seen.ended);
  sink?.send("too late");
  assert.equal([stopped, refused], [1, []]);
});

test("have no body for HEAD, and are not started", async () => {
  const client = open(await serve(), { method: "HEAD" });
  await client.until(/^HTTP\/1\.1 200 OK[\s\S]*\r\n\r\n$/);
  await eventually("the connection is closed", () => client.seen.ended);
  assert.is(begun, 0);
});

test("disconnect a client that never reads once its queue is full, and no other one", async () => {
  const server = await serve();
  const reader = open(server);
  const sleeper = open(server);
  await eventually("both are open", () => sinks.size === 2);
  sleeper.socket.pause();
  const piece = "x".repeat(64 * 1024);
  for (let sent = 1; stopped === 0; sent++) {
    send(piece);
    await eventually("the other one has it", () => reader.seen.bytes >= sent * piece.length);
    assert.ok(sent < 2_000, "the system takes no hundred megabytes for one who does not read");
  }
  assert.equal([stopped, sinks.size, refused], [1, 1, ["stream_queue"]]);
  send("goes on");
  assert.not(reader.seen.ended);
});

test("count the overhead of each of many tiny queued pieces", async () => {
  const client = open(await serve());
  await eventually("it is open", () => sinks.size === 1);
  for (let sent = 0; sent < 2 * (streamLimits.stream_queue.value / 512); sent++) send("x");
  await eventually("it is cut off", () => client.seen.ended);
  assert.equal([stopped, refused], [1, ["stream_queue"]]);
});

test("are limited per address; further ones get 503 until one is closed", async () => {
  const server = await serve();
  const most = streamLimits.streams_per_address.value;
  const clients = Array.from({ length: most }, () => open(server));
  await eventually("all are open", () => sinks.size === most);
  const extra = open(server);
  await extra.until(/^HTTP\/1\.1 503 [\s\S]*Retry-After: 5[\s\S]*Too many open streams/);
  assert.equal([begun, refused], [most, ["streams_per_address"]]);
  assert.is((await fetch(`http://127.0.0.1:${server.port}/`, { method: "HEAD" })).status, 200);
  await open(server, { from: "127.0.0.2" }).until(/^HTTP\/1\.1 200/);
  clients[0]?.socket.destroy();
  await eventually("one is gone", () => stopped === 1);
  await open(server).until(/^HTTP\/1\.1 200/);
});

test("are limited in total, and release their slots", () => {
  const streams = createOpenStreams(3, 2);
  const leave = streams.enter("192.0.2.1");
  streams.enter("::ffff:192.0.2.1");
  assert.is(streams.enter("192.0.2.1"), "streams_per_address");
  streams.enter("2001:db8::1");
  for (const address of ["192.0.2.2", "2001:db8::2", ""]) assert.is(streams.enter(address), "streams");
  assert.type(leave, "function");
  if (typeof leave === "function") leave();
  assert.type(streams.enter("192.0.2.2"), "function");
  assert.is(streams.enter("192.0.2.1"), "streams");
});

test("stay open while idle, for longer than other connections", async () => {
  const server = await serve(1_000);
  const client = open(server);
  const idle = connect(server.port, "127.0.0.1");
  sockets.add(idle);
  const closed = { idle: false };
  idle.on("close", () => {
    closed.idle = true;
  });
  idle.resume();
  await eventually("it is open", () => sinks.size === 1);
  await eventually("the idle connection is closed", () => closed.idle);
  send("still here");
  await client.until(/still here/);
});

test("end when the server stops, even for clients that never read", async () => {
  const server = await serve();
  const client = open(server);
  const sleeper = open(server);
  await eventually("both are open", () => sinks.size === 2);
  sleeper.socket.pause();
  send("before");
  await server.close();
  await client.until(/before\r\n0\r\n\r\n$/);
  await eventually("they are stopped", () => stopped === 2);
});

test("end at once if they start while the server stops", async () => {
  const server = await serve();
  const before = release;
  const client = open(server, { path: "/late" });
  await eventually("it waits", () => release !== before);
  const closed = server.close();
  release();
  await closed;
  await client.until(/^HTTP\/1\.1 200 [\s\S]*\r\n0\r\n\r\n$/);
  assert.equal([begun, stopped], [1, 1]);
});

test("never start for a client that has disconnected", async () => {
  const server = await serve();
  const before = release;
  const client = open(server, { path: "/late" });
  await eventually("it waits", () => release !== before);
  const other = open(server);
  await eventually("it is open", () => sinks.size === 1);
  client.socket.resetAndDestroy();
  // Later input on loopback was read, so the end of that connection was, too.
  other.socket.destroy();
  await eventually("the other one is gone", () => stopped === 1);
  release();
  await open(server).until(/^HTTP\/1\.1 200/);
  assert.equal([begun, sinks.size], [2, 1]);
});

test("that throw at the start close the connection and release their slot", async () => {
  const server = await serve();
  for (let count = 0; count <= streamLimits.streams_per_address.value; count++) {
    const client = open(server, { path: "/broken" });
    await eventually("the connection is closed", () => client.seen.ended);
    assert.not.match(client.seen.text, /secret|0\r\n\r\n$/);
  }
  assert.equal(refused, []);
});

test("block later requests of the same connection, which end with it", async () => {
  const client = open(await serve());
  await eventually("it is open", () => sinks.size === 1);
  client.socket.write("GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
  send("first");
  await client.until(/first/);
  for (const sink of sinks) sink.end();
  await eventually("the connection is closed", () => client.seen.ended);
  assert.equal([begun, stopped], [1, 1]);
});

test.run();
