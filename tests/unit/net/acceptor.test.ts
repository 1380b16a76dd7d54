import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import * as assert from "uvu/assert";
import { createLogger } from "../../../src/lib/logger.js";
import { type Acceptor, type AcceptorOptions, openAcceptor } from "../../../src/net/acceptor.js";
import { eventually } from "../../support/eventually.js";
import { freePort } from "../../support/ports.js";
import { suite } from "../../support/suite.js";

const test = suite("a port that admits connections in turns");

const logger = createLogger({ name: "test", level: "off" });
const opened: Acceptor[] = [];
const clients: Socket[] = [];

async function open(options: Partial<AcceptorOptions> = {}) {
  const admitted: Socket[] = [];
  const admit = (socket: Socket) => void admitted.push(socket);
  const acceptor = await openAcceptor({ port: 0, host: "127.0.0.1", admit, logger, ...options });
  opened.push(acceptor);
  return { acceptor, admitted };
}

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  clients.push(socket);
  await once(socket, "connect");
  return socket;
}

const closed = (socket: Socket) => eventually("the connection is closed", () => socket.closed);

test.after.each(() => {
  for (const acceptor of opened.splice(0)) {
    acceptor.close();
    acceptor.destroy();
  }
  for (const client of clients.splice(0)) client.destroy();
});

test("admits a connection with its first bytes, which stay in the socket for its handler", async () => {
  const { acceptor, admitted } = await open();
  const silent = await dial(acceptor.port);
  const client = await dial(acceptor.port);
  client.write("hello");
  const [socket] = await eventually("one is let in", () => admitted.length > 0 && admitted);
  assert.is(String(socket?.read()), "hello");
  socket?.end("welcome");
  assert.is(String((await once(client, "data"))[0]), "welcome");
  assert.is(admitted.length, 1);
  assert.is(silent.readyState, "open");
});

test("admits many connections that arrive together, each once, in the order of their first bytes", async () => {
  const { acceptor, admitted } = await open();
  const many: Socket[] = [];
  for (let number = 0; number < 100; number++) many.push(await dial(acceptor.port));
  for (const [number, client] of many.entries()) client.write(`${number}\n`);
  await eventually("all are let in", () => admitted.length === 100);
  const said = admitted.map((socket) => Number(socket.read()));
  assert.equal(
    said,
    said.map((_, index) => index),
  );
});

test("never admits a connection that ends before its first byte, or is silent for too long", async () => {
  const { acceptor, admitted } = await open({ silentMs: 1_000 });
  const ended = await dial(acceptor.port);
  ended.end();
  const silent = await dial(acceptor.port);
  await closed(ended);
  await closed(silent);
  assert.equal(admitted, []);
});

test("does not close admitted connections for being silent", async () => {
  const { acceptor, admitted } = await open({ silentMs: 1_000 });
  const client = await dial(acceptor.port);
  client.write("hello");
  await eventually("it is let in", () => admitted.length === 1);
  await closed(await dial(acceptor.port));
  assert.is(client.readyState, "open");
});

test("drops waiting connections when it closes, and keeps admitted ones until the end", async () => {
  const { acceptor, admitted } = await open();
  const [inside, outside] = [await dial(acceptor.port), await dial(acceptor.port)];
  inside.write("hello");
  await eventually("it is let in", () => admitted.length === 1);
  acceptor.close();
  await closed(outside);
  assert.is(inside.readyState, "open");
  const late = connect(acceptor.port, "127.0.0.1");
  assert.is((await once(late, "error"))[0].code, "ECONNREFUSED");
  acceptor.destroy();
  inside.resume();
  await closed(inside);
});

for (const [where, host, taken] of [
  ["on one address", "127.0.0.1", "127.0.0.1"],
  ["on all of them", undefined, "0.0.0.0"],
  ["on all of them, by a program on one", undefined, "127.0.0.1"],
] as const) {
  test(`says which port is taken: ${where}`, async () => {
    const port = await freePort();
    const other = createServer().listen(port, taken);
    await once(other, "listening");
    try {
      await open({ port, host });
      assert.unreachable("the port was opened twice");
    } catch (error) {
      assert.is((error as NodeJS.ErrnoException).code, "EADDRINUSE");
    } finally {
      other.close();
    }
  });
}

test("listens on all interfaces unless one is given", async () => {
  const { acceptor, admitted } = await open({ host: undefined });
  (await dial(acceptor.port)).write("hello");
  await eventually("it is let in", () => admitted.length === 1);
});

test.run();
