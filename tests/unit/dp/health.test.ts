import { type AddressInfo, createServer } from "node:net";
import * as assert from "uvu/assert";
import { serveHealth } from "../../../src/dp/health.js";
import { suite } from "../../support/suite.js";

const test = suite("kuma-dp's health port");

test("healthy while Envoy runs, ready while Envoy is live, 404 elsewhere", async () => {
  let [running, ready] = [false, async () => false];
  const server = await serveHealth(0, { running: () => running, ready: () => ready() });
  const status = async (path: string, method = "GET") =>
    (await fetch(`http://127.0.0.1:${server.port}${path}`, { method })).status;
  try {
    assert.equal([await status("/healthy"), await status("/ready")], [503, 503]);
    running = true;
    assert.equal([await status("/healthy"), await status("/ready")], [200, 503]);
    ready = async () => true;
    assert.equal([await status("/healthy?x=1"), await status("/ready")], [200, 200]);
    ready = () => Promise.reject(new Error("no answer"));
    assert.is(await status("/ready"), 503);
    assert.equal([await status("/"), await status("/constructor"), await status("/ready/")], [404, 404, 404]);
    assert.is(await status("/ready", "POST"), 405);
  } finally {
    await server.close();
  }
});

test("a port that is taken is named", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, resolve));
  const { port } = other.address() as AddressInfo;
  try {
    let message = "";
    await serveHealth(port, { running: () => true, ready: async () => true }).catch((error: Error) => {
      message = error.message;
    });
    assert.match(message, `--health-port ${port}`);
  } finally {
    await new Promise((resolve) => other.close(resolve));
  }
});

test.run();
