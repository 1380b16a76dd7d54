import { spawn } from "node:child_process";
import net from "node:net";
import path from "node:path";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";

const test = suite("npm run demo", { needs: "envoy" });

function demo(...args: string[]) {
  const child = spawn(process.execPath, [path.resolve("scripts/demo.mjs"), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  return { child, ended, output: () => output };
}

test("with --once shows traffic through both sidecars and exits successfully; a port in use is named and replaced", async () => {
  const base = await freePort();
  const taken = net.createServer();
  await new Promise<void>((resolve) => taken.listen(base, "0.0.0.0", resolve));
  const run = demo("--once", `--port-base=${base}`);
  const code = await run.ended;
  taken.close();
  assert.is(code, 0, run.output());
  assert.match(run.output(), `port ${base} (HTTP API) is taken`);
  assert.match(run.output(), "10 messages sent, 10 came back");
  assert.match(run.output(), "Allowing backend to reach redis");
  assert.match(run.output(), /backend-1 +service=backend +Online/);
});

test("stays up until it is interrupted, and leaves no process behind", async () => {
  const run = demo(`--port-base=${await freePort()}`);
  await eventually("it is up", () => run.output().includes("Ctrl-C ends the demo"));
  const port = Number(/backend to redis +127\.0\.0\.1:(\d+)/.exec(run.output())?.[1]);
  run.child.kill("SIGINT");
  assert.is(await run.ended, 0, run.output());
  const gone = await new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.on("connect", () => resolve(false));
    socket.on("error", () => resolve(true));
  });
  assert.ok(gone);
});

test.run();
