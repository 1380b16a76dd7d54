import { spawn } from "node:child_process";
import { connect, type Socket } from "node:net";
import path from "node:path";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { suite } from "../support/suite.js";

const test = suite("kuma-tcp-echo");

const program = path.join(process.env.KUMA_BIN ?? "dist/bin", "kuma-tcp-echo");

interface Echo {
  readonly port: number;
  log(): string;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

function start(args: readonly string[]) {
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => {
    log += chunk.toString("utf8");
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { child, log: () => log, ended };
}

async function withEcho(act: (echo: Echo) => Promise<void>, args = ["-port=0"]): Promise<void> {
  const { child, log, ended } = start(args);
  try {
    const port = await eventually("its port in the log", () => {
      const found = /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d listening on port (\d+)$/m.exec(log())?.[1];
      if (found === undefined) throw new Error(log());
      return Number(found);
    });
    const stop = (signal: NodeJS.Signals = "SIGTERM") => {
      child.kill(signal);
      return ended;
    };
    await act({ port, log, stop });
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}

/** Everything that comes back until the other side finishes. */
function collect(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    socket.setEncoding("latin1").on("data", (chunk) => {
      text += chunk;
    });
    socket.once("error", reject);
    socket.once("end", () => resolve(text));
  });
}

test("bytes come back until the client has finished sending", () =>
  withEcho(async ({ port, log }) => {
    const socket = connect(port, "127.0.0.1");
    const answer = collect(socket);
    socket.write("hello\n");
    socket.end("and goodbye\n");
    assert.is(await answer, "hello\nand goodbye\n");
    await eventually("it is logged", () => /TCP connection: /.test(log()));
  }));

test("an HTTP request comes back as it was sent, is logged, and the connection closes", () =>
  withEcho(async ({ port, log }) => {
    const request = "GET /things?x=1 HTTP/1.1\r\nHost: echo\r\n\r\n";
    const socket = connect(port, "127.0.0.1");
    const answer = collect(socket);
    socket.write(request);
    assert.is(await answer, request);
    await eventually("it is logged", () => /HTTP\/1\.1 connection: GET \/things\?x=1\n/.test(log()));
    socket.destroy();
  }));

test("megabytes are echoed completely to a client that reads late", () =>
  withEcho(async ({ port }) => {
    const sent = Buffer.alloc(8 * 1024 * 1024, "0123456789abcdef");
    const socket = connect(port, "127.0.0.1");
    socket.pause();
    await new Promise((resolve) => socket.once("connect", resolve));
    const accepted = socket.write(sent);
    socket.end();
    assert.is(accepted, false);
    const collected = collect(socket);
    socket.resume();
    const answer = await collected;
    assert.is(answer.length, sent.length);
    assert.ok(answer === sent.toString("latin1"));
  }));

test("many concurrent connections, some of them aborted, do not affect each other", () =>
  withEcho(async ({ port }) => {
    const all = Array.from({ length: 300 }, async (_, number) => {
      const socket = connect(port, "127.0.0.1");
      const answer = collect(socket);
      await new Promise((resolve) => socket.once("connect", resolve));
      if (number % 3 === 0) {
        socket.write("never mind");
        socket.resetAndDestroy();
        return;
      }
      socket.end(`number ${number}\n`);
      assert.is(await answer, `number ${number}\n`);
    });
    await Promise.all(all);
  }));

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`${signal} ends it well, open connections and all`, () =>
    withEcho(async ({ port, stop }) => {
      const socket = connect(port, "127.0.0.1").on("error", () => socket.destroy());
      const closed = new Promise((resolve) => socket.once("close", resolve));
      await new Promise((resolve) => socket.once("connect", resolve));
      assert.is(await stop(signal), 0);
      await closed;
    }));
}

test("all three spellings of the port are understood, and a port that is taken is an error", () =>
  withEcho(async ({ port }) => {
    for (const args of [["-port", String(port)], ["--port", String(port)], [`-port=${port}`], [`--port=${port}`]]) {
      const rival = start(args);
      assert.is(await rival.ended, 1);
      assert.match(rival.log(), `Error: could not listen on port ${port}: `);
    }
  }));

test("an invalid port is rejected", async () => {
  const { ended, log } = start(["-port=65536"]);
  assert.is(await ended, 1);
  assert.match(log(), "65536");
});

test.run();
