import { existsSync, lstatSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import path from "node:path";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";
import { envoyBinary, onlyEnvoy, onStage, type Run, type Stage, staticBootstrap } from "./dp-stage.js";

const test = suite("kuma-dp forwards access logs", { needs: "envoy" });

/** What gets the lines; as a program of its own it may come, go and not listen. */
interface Receiver {
  readonly port: number;
  readonly text: () => string;
  close(): Promise<void>;
}

const open = new Set<Receiver>();
test.after.each(async () => {
  for (const one of open) await one.close();
});

async function receiver(port = 0, reads = true): Promise<Receiver> {
  const chunks: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    if (reads) socket.on("data", (bytes) => void chunks.push(bytes));
    else socket.pause();
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const made: Receiver = {
    port: (server.address() as AddressInfo).port,
    text: () => Buffer.concat(chunks).toString(),
    async close() {
      open.delete(made);
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  open.add(made);
  return made;
}

const format = "%BYTES_RECEIVED% in, %BYTES_SENT% out, 100%% of %UPSTREAM_CLUSTER%";

/** A bootstrap whose listener logs to a collector, and the same to a file. */
function logging(listener: number, upstream: number, collector: number, file: string): string {
  const bootstrap = JSON.parse(staticBootstrap(listener, upstream));
  const log = (to: string, text: string) => ({
    name: "envoy.access_loggers.file",
    typedConfig: {
      "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
      path: to,
      logFormat: { textFormatSource: { inlineString: `${text}\n` } },
    },
  });
  const { typedConfig } = bootstrap.staticResources.listeners[0].filterChains[0].filters[0];
  typedConfig.accessLog = [log("access-logs.fifo", `127.0.0.1:${collector};${format}`), log(file, format)];
  return JSON.stringify(bootstrap);
}

interface Serving {
  readonly kumaDp: Run;
  readonly port: number;
  readonly file: string;
  /** Carries a line through the proxy; the connection is closed afterwards, and logged. */
  carry(text: string): Promise<void>;
  fifo(): Promise<string>;
}

async function serving(stage: Stage, collector: number, args: readonly string[] = []): Promise<Serving> {
  const port = await freePort();
  const upstream = await stage.echo();
  const file = path.join(stage.temporary, "access.log");
  const cp = await stage.controlPlane(() => ({ status: 200, body: logging(port, upstream, collector, file) }));
  const command = ["run", "--name=a", `--cp-address=${cp.url}`, `--binary-path=${envoyBinary}`, "--log-level=info"];
  const kumaDp = stage.start("kuma-dp", [...command, ...args], { KUMA_DATAPLANE_DRAIN_TIME: "1s" });
  const carry = async (text: string) => {
    const talk = await stage.connect(port);
    assert.is(await talk.say(text), text);
    talk.socket.end();
    await talk.closed;
  };
  await eventually("the proxy carries", () => carry("first").then(() => true));
  const fifo = async () => path.join((await onlyEnvoy(stage)).directory, "access-logs.fifo");
  return { kumaDp, port, file, carry, fifo };
}

const lineOf = (text: string) => `${text.length + 1} in, ${text.length + 1} out, 100% of app\n`;

/** Waits until Envoy has written all it has: two that write at once would cut each other's lines. */
async function quiet(collector: Receiver): Promise<void> {
  await eventually("Envoy's own line", () => collector.text().endsWith(lineOf("first")));
}

/** Writes as Envoy does. */
function writeLines(fifo: string, lines: readonly string[]): void {
  writeFileSync(fifo, lines.map((line) => `${line}\n`).join(""), { flag: "a" });
}

test("a line arrives as in a file, and only the owner can open the FIFO", () =>
  onStage(async (stage) => {
    const collector = await receiver();
    const { carry, file, fifo } = await serving(stage, collector.port);
    await carry("a longer text");
    await eventually("both lines", () => collector.text().endsWith(lineOf("a longer text")));
    await eventually("both lines in the file", () => readFileSync(file, "utf8") === collector.text());
    assert.is(lstatSync(await fifo()).mode & 0o777, 0o600);
    assert.ok(lstatSync(await fifo()).isFIFO());
  }));

test("an access log that was renamed is continued under its old name after SIGUSR1", () =>
  onStage(async (stage) => {
    const collector = await receiver();
    const { kumaDp, carry, file } = await serving(stage, collector.port);
    await eventually("a line", () => readFileSync(file, "utf8").endsWith(lineOf("first")));
    renameSync(file, `${file}.1`);
    await carry("renamed");
    await eventually("its line", () => readFileSync(`${file}.1`, "utf8").endsWith(lineOf("renamed")));
    for (let count = 0; count < 3; count++) kumaDp.signal("SIGUSR1");
    await eventually("a new file", () => existsSync(file));
    await carry("rotated");
    await eventually("its line", () => readFileSync(file, "utf8") === lineOf("rotated"));
    await eventually("collectors get lines as before", () => collector.text().endsWith(lineOf("rotated")));
    assert.match(kumaDp.output(), "access logs reopened");
  }));

test("without a collector, traffic continues, drops are counted, and a collector that starts gets the buffered lines", () =>
  onStage(async (stage) => {
    const port = await freePort();
    const { kumaDp, carry, fifo } = await serving(stage, port);
    const lines = Array.from({ length: 2000 }, (_, index) => `127.0.0.1:${port};${String(index).padStart(1000, "x")}`);
    writeLines(await fifo(), lines);
    await carry("meanwhile");
    await eventually("a word about drops", () => kumaDp.output().includes("access log lines were dropped"));
    assert.match(kumaDp.output(), /"lines":\d+,"reason":"the collector reads lines more slowly than they arrive"/);
    const collector = await receiver(port);
    await eventually("what waited", () => collector.text().includes("xxx1\n"));
    await carry("and after");
    await eventually("a later line", () => collector.text().endsWith(lineOf("and after")));
    assert.ok(collector.text().length < 2000 * 1000);
  }));

test("after a collector restarts, later lines arrive", () =>
  onStage(async (stage) => {
    const first = await receiver();
    const { carry } = await serving(stage, first.port);
    await eventually("a line", () => first.text().endsWith(lineOf("first")));
    await first.close();
    const second = await receiver(first.port);
    await eventually("a line after the restart", async () => {
      await carry("again");
      return second.text().includes(lineOf("again"));
    });
  }));

test("a hundred thousand lines arrive, each whole and in order", () =>
  onStage(async (stage) => {
    const collector = await receiver();
    const { fifo } = await serving(stage, collector.port);
    await quiet(collector);
    const count = 100_000;
    const file = await fifo();
    // In steps, so that the pending lines never exceed a collector's queue.
    for (let from = 0; from < count; from += 5000) {
      const lines = Array.from({ length: 5000 }, (_, index) => `127.0.0.1:${collector.port};line ${from + index}`);
      writeLines(file, lines);
      await eventually(`line ${from + 4999}`, () => collector.text().includes(`line ${from + 4999}\n`));
    }
    const got = collector
      .text()
      .split("\n")
      .filter((line) => line.startsWith("line "));
    assert.is(got.length, count);
    assert.ok(got.every((line, index) => line === `line ${index}`));
  }));

test("a collector that never reads delays nothing", () =>
  onStage(async (stage) => {
    const collector = await receiver(0, false);
    const { kumaDp, carry, fifo } = await serving(stage, collector.port);
    const lines = Array.from({ length: 40_000 }, () => `127.0.0.1:${collector.port};${"x".repeat(1000)}`);
    // Would wait for ever if nobody read the FIFO.
    writeLines(await fifo(), lines);
    await carry("meanwhile");
    await eventually("a word about drops", () => kumaDp.output().includes("access log lines were dropped"));
    kumaDp.signal("SIGTERM");
    assert.is((await kumaDp.ended).code, 0);
  }));

test("lines without a usable address are dropped, and do not affect others", () =>
  onStage(async (stage) => {
    const collector = await receiver();
    const { kumaDp, fifo } = await serving(stage, collector.port);
    await quiet(collector);
    const good = `127.0.0.1:${collector.port};good`;
    const bad = [
      "no address",
      "nowhere;x",
      ":1;x",
      "a:0;x",
      "a:70000;x",
      "a b:1;x",
      "[::1;x",
      `${"y".repeat(70_000)};x`,
      "",
    ];
    writeLines(await fifo(), [good, ...bad, `${good} ${"z".repeat(70_000)}`, `${good} too`]);
    await eventually("the good ones", () => collector.text().endsWith("good\ngood too\n"));
    await eventually("a word about the others", () => kumaDp.output().includes('"address":"unknown","lines":9'));
  }));

test("lines that Envoy logs when it exits arrive before kuma-dp exits", () =>
  onStage(async (stage) => {
    const collector = await receiver();
    const { kumaDp, port } = await serving(stage, collector.port);
    const talk = await stage.connect(port);
    await talk.say("open to the end");
    kumaDp.signal("SIGTERM");
    assert.is((await kumaDp.ended).code, 0);
    await eventually("its line", () => collector.text().endsWith(lineOf("open to the end")));
  }));

test("a FIFO that is lost is made again, and Envoy writes to it", () =>
  onStage(async (stage) => {
    const collector = await receiver();
    const { kumaDp, carry, fifo } = await serving(stage, collector.port);
    const file = await fifo();
    for (const inItsPlace of ["nothing", "a file"]) {
      const before = lstatSync(file).ino;
      rmSync(file);
      if (inItsPlace === "a file") writeFileSync(file, "");
      await eventually(
        "another FIFO",
        () => existsSync(file) && lstatSync(file).isFIFO() && lstatSync(file).ino !== before,
      );
      await eventually("a line through it", async () => {
        await carry("again");
        return collector.text().endsWith(lineOf("again"));
      });
    }
    assert.match(kumaDp.output(), "the access-log FIFO was lost and has been recreated");
    // Not Envoy's old one: a line that is put into the new one arrives as well.
    const fd = openSync(file, "a");
    writeSync(fd, `127.0.0.1:${collector.port};by hand\n`);
    await eventually("a line by hand", () => collector.text().includes("by hand\n"));
  }));

test("a config dir that the user names is cleaned of it", () =>
  onStage(async (stage) => {
    const collector = await receiver();
    const directory = path.join(stage.temporary, "config");
    const port = await freePort();
    const upstream = await stage.echo();
    const cp = await stage.controlPlane(() => ({
      status: 200,
      body: logging(port, upstream, collector.port, path.join(stage.temporary, "access.log")),
    }));
    const kumaDp = stage.start("kuma-dp", [
      "run",
      "--name=a",
      `--cp-address=${cp.url}`,
      `--binary-path=${envoyBinary}`,
      `--config-dir=${directory}`,
    ]);
    const fifo = path.join(directory, "access-logs.fifo");
    await eventually("the FIFO", () => lstatSync(fifo).isFIFO());
    await eventually("the proxy accepts", () =>
      stage
        .connect(port)
        .then(({ socket }) => void socket.destroy())
        .then(() => true),
    );
    kumaDp.signal("SIGTERM");
    assert.is((await kumaDp.ended).code, 0);
    assert.not(existsSync(fifo));
  }));

test.run();
