import { connect, type Socket } from "node:net";
import * as assert from "uvu/assert";
import { createLogger } from "../../../src/lib/logger.js";
import { unfinishedBytes } from "../../../src/net/budget.js";
import { type Endpoint, serveEndpoints } from "../../../src/net/endpoints.js";
import { jsonReply } from "../../../src/net/exchange.js";
import { type HttpServer, startHttpServer } from "../../../src/net/http-server.js";
import type { HttpLimits } from "../../../src/net/limits.js";
import { eventually } from "../../support/eventually.js";
import { suite } from "../../support/suite.js";

const test = suite("our HTTP servers");

const logger = createLogger({ name: "test", level: "off" });
const running = new Set<HttpServer>();
const sockets = new Set<Socket>();
const refused: string[] = [];

async function serve(limits: Partial<HttpLimits> = {}): Promise<HttpServer> {
  const endpoint = (method: string, path: string, handle: Endpoint["handle"]): Endpoint => ({
    methods: [method],
    path,
    title: "Could not do it",
    access: "read",
    handle,
  });
  const endpoints = [
    endpoint("POST", "/length", ({ request: { body } }) => jsonReply(200, { bytes: body.length })),
    endpoint("GET", "/hello", ({ request: { query } }) => ({ status: 200, body: `hello ${query}` })),
    endpoint("GET", "/broken", () => {
      throw new Error("secret inside");
    }),
    endpoint("GET", "/slow", () => {
      slow.arrived += 1;
      return new Promise((resolve) => {
        slow.finish = () => resolve({ status: 200, body: "at last" });
      });
    }),
  ];
  const server = await startHttpServer({
    port: 0,
    host: "127.0.0.1",
    setting: "TEST_PORT",
    layers: [],
    handler: serveEndpoints({ endpoints, layers: [] }),
    logger,
    limits,
    incidents: { refused: (limit) => void refused.push(limit), caught() {} },
  });
  running.add(server);
  return server;
}

/** The request that waits until the test releases it. */
const slow = { arrived: 0, finish: () => {} };

/** A raw connection: the response so far, and whether the server closed it. */
function dial({ port }: HttpServer) {
  const socket = connect(port, "127.0.0.1");
  sockets.add(socket);
  const seen = { text: "", ended: false };
  socket.on("data", (chunk: Buffer) => {
    seen.text += chunk.toString("latin1");
  });
  socket.on("close", () => {
    seen.ended = true;
  });
  socket.on("error", () => {
    seen.ended = true;
  });
  return { socket, seen, until: (pattern: RegExp) => eventually(`${pattern}`, () => pattern.test(seen.text)) };
}

test.after(async () => {
  for (const socket of sockets) socket.destroy();
  for (const server of running) await server.close();
});

test("accept trailing slashes, answer HEAD like GET, and name unknown paths", async () => {
  const { port } = await serve();
  const url = `http://127.0.0.1:${port}`;
  assert.is(await (await fetch(`${url}/hello/?you`)).text(), "hello you");
  const head = await fetch(`${url}/hello`, { method: "HEAD" });
  assert.equal([head.status, head.headers.get("content-length"), await head.text()], [200, "6", ""]);
  assert.is((await fetch(`${url}/nope`)).status, 404);
  const wrong = await fetch(`${url}/hello`, { method: "DELETE" });
  assert.equal([wrong.status, wrong.headers.get("allow")], [405, "GET"]);
  assert.is((await fetch(`${url}/constructor`)).status, 404);
});

test("give endpoints the client's address, an IPv4 address as such on a dual-stack socket, and no certificate", async () => {
  const seen: unknown[] = [];
  const server = await startHttpServer({
    port: 0,
    setting: "TEST_PORT",
    layers: [],
    handler({ peer, localAddress, clientCertificate }) {
      seen.push(peer, localAddress?.endsWith("127.0.0.1"), clientCertificate);
      return { status: 200 };
    },
    logger,
  });
  running.add(server);
  await fetch(`http://127.0.0.1:${server.port}/`);
  assert.equal(seen, ["127.0.0.1", true, undefined]);
});

test("answer 500 without internals", async () => {
  const { port } = await serve();
  const answer = await fetch(`http://127.0.0.1:${port}/broken`);
  assert.is(answer.status, 500);
  assert.not.match(await answer.text(), /secret/);
});

test("read a body up to the limit and reject a larger one with 413, however it is sent", async () => {
  const server = await serve({ bodyBytes: 1000 });
  const url = `http://127.0.0.1:${server.port}/length`;
  const fits = await fetch(url, { method: "POST", body: "x".repeat(1000) });
  assert.equal(await fits.json(), { bytes: 1000 });
  const announced = await fetch(url, { method: "POST", body: "x".repeat(1001) });
  assert.is(announced.status, 413);
  assert.equal(Object.keys((await announced.json()) as object), ["title", "details"]);
  const chunked = dial(server);
  chunked.socket.write("POST /length HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  chunked.socket.write(`7d0\r\n${"x".repeat(2000)}\r\n0\r\n\r\n`);
  await chunked.until(/^HTTP\/1\.1 413 [\s\S]*larger than 1000 bytes/);
  await eventually("the connection is closed", () => chunked.seen.ended);
});

test("drop the oldest incomplete body when all of them exceed the budget, and accept new ones", async () => {
  const server = await serve({ bodyBytes: 1024 * 1024 });
  const slow = Array.from({ length: 70 }, () => dial(server));
  const part = Buffer.alloc(1_000_000, "x");
  for (const { socket } of slow) {
    socket.write("POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n");
    socket.write(part);
  }
  await slow[0]?.until(/^HTTP\/1\.1 503 [\s\S]*not completed their request bodies/);
  assert.ok(unfinishedBytes.held() <= 64 * 1024 * 1024);
  const post = await fetch(`http://127.0.0.1:${server.port}/length`, { method: "POST", body: part });
  assert.is(post.status, 200);
  assert.ok(refused.includes("unfinished"));
  for (const { socket } of slow) socket.destroy();
  await eventually("all is given back", () => unfinishedBytes.held() === 0);
});

test("answer pipelined requests, and close a connection with too many of them", async () => {
  const server = await serve({ pipelined: 5 });
  const polite = dial(server);
  polite.socket.write("GET /hello?a HTTP/1.1\r\nHost: a\r\n\r\n".repeat(5));
  await polite.until(/^(?:HTTP\/1\.1 200 [\s\S]*?hello a){5}$/);
  polite.socket.write("GET /hello?b HTTP/1.1\r\nHost: a\r\n\r\n");
  await polite.until(/hello b$/);
  const greedy = dial(server);
  greedy.socket.write("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1_000));
  await eventually("the connection is closed", () => greedy.seen.ended);
  assert.ok(refused.includes("pipelined"));
});

test("keep little more of a body in small chunks than its bytes", async () => {
  const server = await serve({ bodyBytes: 1024 * 1024 });
  const { socket, until } = dial(server);
  socket.write("POST /length HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  socket.write(`40\r\n${"x".repeat(64)}\r\n`.repeat(5_000));
  await eventually("it has come", () => unfinishedBytes.held() >= 320_000);
  assert.ok(unfinishedBytes.held() <= 640_000);
  socket.write("0\r\n\r\n");
  await until(/"bytes":\s*320000/);
});

test("close a connection whose body arrives in thousands of chunks of one byte", async () => {
  const server = await serve({ bodyBytes: 1024 * 1024 });
  const { socket, seen } = dial(server);
  socket.write("POST /length HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  socket.write("1\r\nx\r\n".repeat(5_000));
  await eventually("the connection is closed", () => seen.ended);
  assert.is(unfinishedBytes.held(), 0);
  assert.ok(refused.includes("chunks"));
});

test("send the response to a client that keeps sending a rejected body", async () => {
  const server = await serve();
  const answer = await fetch(`http://127.0.0.1:${server.port}/length`, { method: "POST", body: "x".repeat(3 << 20) });
  assert.is(answer.status, 413);
});

test("send a long response in pieces, each produced once the client read the previous ones, and none after it disconnects", async () => {
  const seen = { made: 0, ended: false };
  async function* pieces() {
    try {
      for (; seen.made < 400; seen.made++) yield Buffer.alloc(64 * 1024, "x");
    } finally {
      seen.ended = true;
    }
  }
  const handler = () => ({ status: 200, body: pieces() });
  const server = await startHttpServer({
    port: 0,
    host: "127.0.0.1",
    setting: "TEST_PORT",
    layers: [],
    handler,
    logger,
  });
  running.add(server);
  const client = dial(server);
  client.socket.once("data", () => client.socket.pause());
  client.socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await client.until(/^HTTP\/1\.1 200 OK[\s\S]*Transfer-Encoding: chunked/);
  let before = -1;
  await eventually("no more is made", () => {
    const stands = before === seen.made;
    before = seen.made;
    return stands && seen.made > 0;
  });
  assert.ok(seen.made < 400, `${seen.made} pieces`);
  client.socket.destroy();
  await eventually("the rest is given up", () => seen.ended);
  assert.ok(seen.made < 400, `${seen.made} pieces`);

  Object.assign(seen, { made: 0, ended: false });
  const whole = await fetch(`http://127.0.0.1:${server.port}/`);
  assert.is((await whole.arrayBuffer()).byteLength, 400 * 64 * 1024);
  Object.assign(seen, { made: 0, ended: false });
  const head = await fetch(`http://127.0.0.1:${server.port}/`, { method: "HEAD" });
  assert.equal([head.status, await head.text(), seen.made], [200, "", 0]);
});

test("abort a response whose pieces can't be produced, instead of ending it as if it were complete", async () => {
  const handler = () => ({
    status: 200,
    body: (async function* () {
      yield Buffer.from("begun");
      throw new Error("secret inside");
    })(),
  });
  const server = await startHttpServer({
    port: 0,
    host: "127.0.0.1",
    setting: "TEST_PORT",
    layers: [],
    handler,
    logger,
  });
  running.add(server);
  const failed = await fetch(`http://127.0.0.1:${server.port}/`)
    .then((answer) => answer.text())
    .catch(() => "cut off");
  assert.is(failed, "cut off");
});

test("reject a header that is too long with 431", async () => {
  const client = dial(await serve({ headerBytes: 2048 }));
  client.socket.write(`GET /hello HTTP/1.1\r\nHost: a\r\nX-Long: ${"x".repeat(4096)}\r\n\r\n`);
  await client.until(/^HTTP\/1\.1 431 [\s\S]*"title"/);
  await eventually("the connection is closed", () => client.seen.ended);
});

test("answer 400 to input that is not HTTP", async () => {
  for (const noise of ["\x16\x03\x01 TLS hello", "GET /hello HTTP/9.9\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]) {
    const client = dial(await serve());
    client.socket.write(noise);
    await eventually("the connection is closed", () => client.seen.ended);
    assert.match(client.seen.text, /^HTTP\/1\.1 400 /);
  }
});

test("end a request whose header or body does not arrive with 408", async () => {
  const server = await serve({ headersMs: 500, requestMs: 1_000 });
  const header = dial(server);
  header.socket.write("GET /hello HTTP/1.1\r\nHost: a");
  const body = dial(server);
  body.socket.write("POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
  for (const client of [header, body]) {
    await client.until(/^HTTP\/1\.1 408 /);
    await eventually("the connection is closed", () => client.seen.ended);
  }
});

test("close a connection on which no request arrives without a response, and do not count it", async () => {
  const server = await serve({ headersMs: 200, requestMs: 500 });
  refused.length = 0;
  const unused = dial(server);
  const started = dial(server);
  started.socket.write("GET /hello HTTP/1.1\r\n");
  await started.until(/^HTTP\/1\.1 408 /);
  await eventually("the connection is closed", () => unused.seen.ended);
  assert.is(unused.seen.text, "");
  assert.equal(refused, ["request_time"]);
});

test("close idle connections", async () => {
  const server = await serve({ idleMs: 1_000 });
  const used = dial(server);
  used.socket.write("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  await used.until(/hello/);
  const silent = dial(server);
  for (const client of [used, silent]) await eventually("the connection is closed", () => client.seen.ended);
});

test("serve requests of one connection one after another, even if they arrive together", async () => {
  const client = dial(await serve());
  client.socket.write("GET /hello?1 HTTP/1.1\r\nHost: a\r\n\r\nGET /hello?2 HTTP/1.1\r\nHost: a\r\n\r\n");
  await client.until(/hello 1[\s\S]*hello 2/);
});

test("refuse connections beyond the limit", async () => {
  const server = await serve({ connections: 1 });
  const first = dial(server);
  first.socket.write("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  await first.until(/hello/);
  const second = dial(server);
  await eventually("the second is closed", () => second.seen.ended);
  assert.not(first.seen.ended);
});

test("close at once despite idle and silent connections, and finish running responses", async () => {
  const server = await serve();
  const idle = dial(server);
  idle.socket.write("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  await idle.until(/hello/);
  const silent = dial(server);
  await eventually("it is connected", () => silent.socket.readyState === "open");
  const busy = dial(server);
  busy.socket.write("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  await eventually("the slow request is being answered", () => slow.arrived === 1);
  const closed = server.close();
  for (const client of [idle, silent]) await eventually("it is closed", () => client.seen.ended);
  assert.not(busy.seen.ended);
  slow.finish();
  await closed;
  await busy.until(/Connection: close[\s\S]*at last/);
  assert.is(
    await fetch(`http://127.0.0.1:${server.port}/hello`).then(
      () => "open",
      () => "refused",
    ),
    "refused",
  );
});

test("name the setting when their port is taken", async () => {
  const { port } = await serve();
  const options = {
    port,
    host: "127.0.0.1",
    setting: "TEST_PORT",
    layers: [],
    handler: () => ({ status: 200 }),
    logger,
  };
  const error = await startHttpServer(options).then(
    () => "started",
    (reason: Error) => reason.message,
  );
  assert.is(
    error,
    `Could not listen on 127.0.0.1, port ${port}: the port is already taken. Change TEST_PORT (0 = any free port)`,
  );
});

test.run();
