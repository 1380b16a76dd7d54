import * as assert from "uvu/assert";
import { healthHandler } from "../../../src/cp/health/handler.js";
import { suite } from "../../support/suite.js";

const test = suite("the health of the control plane");

test("is healthy as soon as it answers, and ready when it reports so", async () => {
  let ready = false;
  const handle = healthHandler(() => ready, { contentType: "text/plain", text: async () => "up 1\n" });
  const ask = async (path: string, method = "GET") =>
    await handle({ method, path, query: "", headers: {}, body: Buffer.alloc(0), peer: "127.0.0.1" });
  assert.equal(await ask("/healthy"), { status: 200 });
  assert.equal(await ask("/ready"), { status: 503 });
  ready = true;
  assert.equal(await ask("/ready", "DELETE"), { status: 200 });
  assert.equal(await ask("/"), { status: 404 });
});

test("includes metrics as soon as it answers, read-only", async () => {
  const handle = healthHandler(() => false, { contentType: "text/plain", text: async () => "up 1\n" });
  const ask = async (method: string) =>
    await handle({ method, path: "/metrics", query: "", headers: {}, body: Buffer.alloc(0), peer: "127.0.0.1" });
  assert.equal(await ask("GET"), { status: 200, headers: { "Content-Type": "text/plain" }, body: "up 1\n" });
  assert.equal(await ask("POST"), { status: 405, headers: { Allow: "GET" } });
});

test.run();
