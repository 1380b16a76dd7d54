import { once } from "node:events";
import http2 from "node:http2";
import { connect } from "node:net";
import { Client, type ClientDuplexStream, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import * as assert from "uvu/assert";
import { createLogger } from "../../../src/lib/logger.js";
import { frame } from "../../../src/net/grpc-frame.js";
import { type GrpcCall, type GrpcServer, startGrpcServer, status } from "../../../src/net/grpc-server.js";
import { eventually } from "../../support/eventually.js";
import { suite } from "../../support/suite.js";

const test = suite("a gRPC server");

const errors: string[] = [];
const logger = createLogger({ name: "test", level: "info", write: (line) => void errors.push(line) });
const same = (bytes: Buffer) => bytes;
const servers: GrpcServer[] = [];
const clients: Client[] = [];

/** Calls that the server received, and what happened to them. */
interface Seen {
  readonly call: GrpcCall;
  readonly messages: string[];
  closed: number;
}

/** A server that echoes messages in capitals. */
async function open(): Promise<{ server: GrpcServer; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = await startGrpcServer({
    port: 0,
    host: "127.0.0.1",
    logger,
    methods: {
      "/test.Echo/Shout"(call) {
        const one: Seen = { call, messages: [], closed: 0 };
        seen.push(one);
        return {
          message(bytes) {
            const text = bytes.toString();
            one.messages.push(text);
            if (text === "throw") throw new Error("on purpose");
            if (text === "end") call.end(status.notFound, "there is no “end”, 100 %");
            else call.write(frame(Buffer.from(text.toUpperCase())));
          },
          closed() {
            one.closed += 1;
          },
        };
      },
    },
  });
  servers.push(server);
  return { server, seen };
}

interface Caller {
  readonly call: ClientDuplexStream<Buffer, Buffer>;
  readonly heard: string[];
  /** Status code and details. */
  readonly ended: Promise<string>;
}

function dial({ port }: GrpcServer, path = "/test.Echo/Shout", metadata = new Metadata()): Caller {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  clients.push(client);
  const call = client.makeBidiStreamRequest(path, same, same, metadata);
  const heard: string[] = [];
  call.on("data", (bytes: Buffer) => void heard.push(bytes.toString()));
  call.on("error", () => {});
  const ended = new Promise<string>((resolve) =>
    call.on("status", ({ code, details }: ServiceError) => resolve(`${code} ${details}`)),
  );
  return { call, heard, ended };
}

test.after.each(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const server of servers.splice(0)) await server.close();
  errors.length = 0;
});

test("messages go both ways, large ones too, and a half-close by the client ends the call as OK", async () => {
  const { server, seen } = await open();
  const { call, heard, ended } = dial(server);
  const large = "x".repeat(300_000);
  for (const text of ["hello", "", large]) call.write(Buffer.from(text));
  call.end();
  assert.is(await ended, "0 ");
  assert.equal(heard, ["HELLO", "", large.toUpperCase()]);
  assert.equal(seen[0]?.messages, ["hello", "", large]);
  assert.is(seen[0]?.closed, 1);
});

test("a call has its headers as they were sent", async () => {
  const { server, seen } = await open();
  const metadata = new Metadata();
  metadata.add("authorization", "a token");
  dial(server, undefined, metadata).call.write(Buffer.from("hello"));
  const [one] = await eventually("the call is there", () => seen.length > 0 && seen);
  assert.equal(one?.call.header("authorization"), ["a token"]);
  assert.equal(one?.call.header("nothing"), []);
  assert.match(one?.call.peer() ?? "", /^127\.0\.0\.1:\d+$/);
});

test("a call that is ended at once, or after a response, ends with the status code and details", async () => {
  const { server, seen } = await open();
  const early = dial(server);
  early.call.write(Buffer.from("end"));
  assert.is(await early.ended, "5 there is no “end”, 100 %");
  const late = dial(server);
  late.call.write(Buffer.from("hello"));
  late.call.write(Buffer.from("end"));
  late.call.write(Buffer.from("more"));
  assert.is(await late.ended, "5 there is no “end”, 100 %");
  assert.equal(late.heard, ["HELLO"]);
  assert.equal([seen[1]?.messages, seen[1]?.closed], [["hello", "end"], 1]);
});

test("a message that can't be handled ends its call and no other, and the log says why", async () => {
  const { server, seen } = await open();
  const [bad, good] = [dial(server), dial(server)];
  good.call.write(Buffer.from("before"));
  bad.call.write(Buffer.from("throw"));
  assert.is(await bad.ended, "13 the message could not be handled");
  good.call.write(Buffer.from("after"));
  await eventually("the other call goes on", () => good.heard.includes("AFTER"));
  assert.match(errors.join(), /could not be handled.*on purpose/);
  assert.equal(seen.map(({ closed }) => closed).sort(), [0, 1]);
});

test("a call ends when its client cancels or its connection breaks", async () => {
  const { server, seen } = await open();
  const { call } = dial(server);
  call.write(Buffer.from("hello"));
  await eventually("the call is there", () => seen[0]?.messages.length === 1);
  call.cancel();
  await eventually("the server knows", () => seen[0]?.closed === 1);
  seen[0]?.call.write(frame(Buffer.from("to nobody")));
  seen[0]?.call.end(status.internal);
  const session = http2.connect(`http://127.0.0.1:${server.port}`);
  session.on("error", () => {});
  const stream = session.request({
    ":method": "POST",
    ":path": "/test.Echo/Shout",
    "content-type": "application/grpc",
  });
  stream.on("error", () => {});
  stream.write(frame(Buffer.from("hello")));
  await eventually("the other call is there", () => seen[1]?.messages.length === 1);
  session.socket.destroy();
  await eventually("the server knows of it", () => seen[1]?.closed === 1);
});

test("an unknown method, another HTTP method and another content type are rejected", async () => {
  const { server } = await open();
  assert.match(await dial(server, "/test.Echo/Whisper").ended, /^12 .*Whisper/);
  const session = http2.connect(`http://127.0.0.1:${server.port}`);
  const path = "/test.Echo/Shout";
  for (const [headers, code] of [
    [{ ":method": "GET", ":path": path, "content-type": "application/grpc" }, 405],
    [{ ":method": "POST", ":path": path, "content-type": "application/grpc-web" }, 415],
    [{ ":method": "POST", ":path": path }, 415],
  ] as const) {
    const stream = session.request(headers);
    const [response] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
    assert.is(response[":status"], code);
    stream.close();
  }
  session.destroy();
});

test("compressed and too long messages end their call", async () => {
  const { server, seen } = await open();
  const session = http2.connect(`http://127.0.0.1:${server.port}`);
  for (const [bytes, code] of [
    [[1, 0, 0, 0, 1, 7], "12"],
    [[0, 0x7f, 0, 0, 0], "8"],
  ] as const) {
    const stream = session.request({
      ":method": "POST",
      ":path": "/test.Echo/Shout",
      "content-type": "application/grpc",
    });
    stream.write(Buffer.from(bytes));
    const [response] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
    assert.is(response["grpc-status"], code);
    await eventually("its stream is closed, though the client has not ended it", () => stream.closed);
  }
  assert.equal(
    seen.map(({ messages, closed }) => [messages.length, closed]),
    [
      [0, 1],
      [0, 1],
    ],
  );
  session.destroy();
});

test("closing ends every call as unavailable, and closes silent connections", async () => {
  const { server, seen } = await open();
  const { call, ended } = dial(server);
  call.write(Buffer.from("hello"));
  await eventually("the call is there", () => seen[0]?.messages.length === 1);
  const silent = connect(server.port, "127.0.0.1");
  silent.on("error", () => {});
  await once(silent, "connect");
  const idle = http2.connect(`http://127.0.0.1:${server.port}`);
  idle.on("error", () => {});
  await once(idle, "remoteSettings");
  await server.close();
  assert.is(await ended, "14 the control plane is shutting down");
  assert.is(seen[0]?.closed, 1);
  await eventually("no connection is left", () => silent.closed && idle.closed);
});

test("a client that sends faster than messages are handled is paused, and loses nothing", async () => {
  const { server, seen } = await open();
  const { call, heard, ended } = dial(server);
  const texts = Array.from({ length: 2_000 }, (_, index) => `${index}`.padEnd(200, "."));
  for (const text of texts) call.write(Buffer.from(text));
  call.end();
  assert.is(await ended, "0 ");
  assert.equal(seen[0]?.messages, texts);
  assert.is(heard.length, texts.length);
});

test.run();
