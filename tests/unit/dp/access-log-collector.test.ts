import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import * as assert from "uvu/assert";
import { type CollectorLimits, createCollector } from "../../../src/dp/access-log-collector.js";
import { eventually } from "../../support/eventually.js";
import { freePort } from "../../support/ports.js";
import { suite } from "../../support/suite.js";

const test = suite("an access-log collector");

const limits: CollectorLimits = { bufferBytes: 100, connectMs: 10_000, firstPauseMs: 10, longestPauseMs: 50 };

const open = new Set<() => Promise<void>>();
test.after.each(async () => {
  for (const close of open) await close();
});

/** A collector on this machine: what it got, by connection. */
async function listening(port = 0, accept: (socket: Socket) => void = () => {}) {
  const received: string[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    const index = received.push("") - 1;
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes) => {
      received[index] += bytes.toString();
    });
    accept(socket);
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const close = async () => {
    open.delete(close);
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  open.add(close);
  return { port: (server.address() as AddressInfo).port, received, sockets, close };
}

function collectorOf(port: number, given: Partial<CollectorLimits> = {}) {
  const lost: [number, string][] = [];
  const collector = createCollector({ host: "127.0.0.1", port }, (lines, reason) => void lost.push([lines, reason]), {
    ...limits,
    ...given,
  });
  const send = (...lines: readonly string[]) => {
    const taken = lines.map((line) => collector.offer(Buffer.from(line)));
    collector.flush();
    return taken;
  };
  return { collector, lost, send };
}

const atOnce = AbortSignal.abort();

test("lines go out in order over one connection, each with its break", async () => {
  const server = await listening();
  const { collector, lost, send } = collectorOf(server.port);
  send("a", "b");
  await eventually("two lines", () => server.received[0] === "a\nb\n");
  send("c");
  await eventually("three lines", () => server.received[0] === "a\nb\nc\n");
  assert.ok(collector.isIdle());
  await collector.close(atOnce);
  await server.close();
  assert.is(server.received.length, 1);
  assert.equal(lost, []);
});

test("lines are copied: their read buffer can be reused", async () => {
  const server = await listening();
  const { collector } = collectorOf(server.port);
  const buffer = Buffer.from("first");
  collector.offer(buffer);
  collector.flush();
  buffer.write("xxxxx");
  await eventually("the line", () => server.received[0] === "first\n");
  await collector.close(atOnce);
  await server.close();
});

test("the buffer is bounded, and lines arrive once a collector listens", async () => {
  const port = await freePort();
  const { collector, send } = collectorOf(port, { bufferBytes: 10 });
  assert.equal(send("abc", "def", "ghi"), [true, true, false]);
  assert.equal(send("g"), [true]);
  assert.equal(send(""), [false]);
  const server = await listening(port);
  await eventually("the lines that fit", () => server.received[0] === "abc\ndef\ng\n");
  assert.equal(send("later"), [true]);
  await eventually("a later line", () => server.received[0]?.endsWith("later\n") ?? false);
  await collector.close(atOnce);
  await server.close();
});

test("after a collector went away, lines go to the next one", async () => {
  const server = await listening();
  const { collector, send } = collectorOf(server.port);
  send("a");
  await eventually("a line", () => server.received[0] === "a\n");
  await server.close();
  const again = await listening(server.port);
  // That the collector is gone shows only when it is written to or says so.
  await eventually("a line at the next collector", () => {
    send("b");
    return again.received.some((text) => text.includes("b\n"));
  });
  await collector.close(atOnce);
  await again.close();
});

test("a collector that closes at once is not reconnected in a loop", async () => {
  const server = await listening(0, (socket) => socket.destroy());
  const { collector, send } = collectorOf(server.port, { firstPauseMs: 60_000, longestPauseMs: 60_000 });
  send("a");
  await eventually("a connection", () => server.received.length === 1);
  await eventually("its end", () => server.sockets.values().next().value?.destroyed === true);
  for (let line = 0; line < 10; line++) send("b");
  await new Promise<void>((resolve) => void setImmediate(resolve));
  assert.is(server.received.length, 1);
  await collector.close(atOnce);
  await server.close();
});

test("a collector that never reads fills its buffer and nothing else", async () => {
  const server = await listening(0, (socket) => socket.pause());
  const { collector, lost, send } = collectorOf(server.port, { bufferBytes: 1024 * 1024 });
  const line = "x".repeat(16 * 1024);
  // What the two ends of the connection hold for themselves is full as well when there is no room any more a while later.
  await eventually("no more room", async () => {
    while (send(line)[0] === true);
    await new Promise<void>((resolve) => void setTimeout(resolve, 50));
    return send(line)[0] === false;
  });
  assert.equal(lost, []);
  await collector.close(AbortSignal.timeout(50));
  assert.is(lost.length, 1);
  assert.is(lost[0]?.[1], "the dataplane stopped");
  await server.close();
});

test("closing sends the buffered lines", async () => {
  const server = await listening();
  const { collector, lost, send } = collectorOf(server.port);
  send("a");
  collector.offer(Buffer.from("b"));
  await collector.close(AbortSignal.timeout(30_000));
  await eventually("both lines", () => server.received[0] === "a\nb\n");
  assert.equal(lost, []);
  await server.close();
});

test("closing without a collector counts the buffered lines", async () => {
  const { collector, lost, send } = collectorOf(await freePort());
  send("a", "b");
  send("c");
  await collector.close(AbortSignal.timeout(50));
  assert.equal(lost, [[3, "the dataplane stopped"]]);
});

test.run();
