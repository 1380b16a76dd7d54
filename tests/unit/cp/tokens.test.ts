import type { IncomingHttpHeaders } from "node:http";
import * as assert from "uvu/assert";
import { tokenEndpoint } from "../../../src/cp/tokens/handler.js";
import { ensureSigningKey, type SigningKey } from "../../../src/identity/signing-key.js";
import { verifyToken } from "../../../src/identity/tokens.js";
import { createLogger } from "../../../src/lib/logger.js";
import { createSiteGuard } from "../../../src/net/cross-site.js";
import { serveEndpoints } from "../../../src/net/endpoints.js";
import { registry } from "../../../src/resources/registry.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import { suite } from "../../support/suite.js";

const test = suite("the token server");

const now = new Date("2026-03-01T12:00:00Z");
const logged: string[] = [];
let key: SigningKey;
test.before(async () => {
  key = await ensureSigningKey(createMemoryStore(registry));
});

/** Status, media type and text of the response. */
async function ask(body: unknown, { method = "POST", path = "/tokens", headers = {} as IncomingHttpHeaders } = {}) {
  const endpoint = tokenEndpoint({
    key,
    guard: createSiteGuard({ allowed: () => false, advertisedHostname: "cp.example" }),
    logger: createLogger({ name: "test", level: "info", write: (line) => void logged.push(line) }),
    now: () => now,
  });
  const handle = serveEndpoints({ endpoints: [endpoint], layers: [] });
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const reply = await handle({ method, path, query: "", headers, body: Buffer.from(text), peer: "127.0.0.1" });
  return { status: reply.status, type: reply.headers?.["Content-Type"], text: String(reply.body ?? "") };
}

test("answers with a token in plain text, whatever the media type of the request", async () => {
  for (const headers of [{}, { "content-type": "application/x-www-form-urlencoded" }]) {
    const { status, type, text } = await ask({ name: "dp-echo-1", mesh: "default" }, { headers });
    assert.equal([status, type], [200, "text/plain"]);
    assert.equal(verifyToken([key], text, now), { kind: "valid", name: "dp-echo-1", mesh: "default" });
  }
  assert.is((await ask({ name: "a", mesh: "m" }, { path: "/tokens/" })).status, 200);
  assert.is((await ask({ name: "a", mesh: "m", validFor: null })).status, 200);
});

test("issues tokens that expire on request", async () => {
  const { text } = await ask({ name: "a", mesh: "m", validFor: "1h30m" });
  const expires = new Date("2026-03-01T13:30:00Z");
  assert.equal(verifyToken([key], text, now), { kind: "valid", name: "a", mesh: "m", expires });
});

test("explains what is wrong with a bad request, the name first", async () => {
  const cases: [unknown, RegExp][] = [
    ['{"name:" "dp-echo-1", "mesh": "default"}', /^the body is not valid JSON .*expected for example {"name"/],
    ["", /^the body is not valid JSON/],
    ["null", /^the body has to be an object/],
    [[], /^the body has to be an object/],
    [{}, /^name cannot be empty$/],
    [{ mesh: "default" }, /^name cannot be empty$/],
    [{ name: "", mesh: "" }, /^name cannot be empty$/],
    [{ name: null, mesh: "default" }, /^name cannot be empty$/],
    [{ name: "a" }, /^mesh cannot be empty$/],
    [{ name: 7, mesh: "default" }, /^name has to be text$/],
    [{ name: "a", mesh: {} }, /^mesh has to be text$/],
    [{ name: "A b", mesh: "default" }, /^name: invalid characters/],
    [{ name: "a", mesh: "m".repeat(101) }, /^mesh: cannot be longer than 100 characters$/],
    [{ name: "a", mesh: "m", validfor: "1h" }, /^unknown field "validfor"; did you mean "validFor"\?$/],
    [{ name: "a", mesh: "m", x: 1 }, /^unknown field "x"$/],
    ['{"name":"a","mesh":"m","__proto__":{}}', /^unknown field "__proto__"$/],
  ];
  for (const validFor of ["", "0", "0s", "-1h", "soon", "1", 3600, {}, true]) {
    cases.push([{ name: "a", mesh: "m", validFor }, /^validFor has to be a duration longer than 0s, such as/]);
  }
  cases.push([{ name: "a", mesh: "m", validFor: "9999999999h" }, /^validFor is too long/]);
  for (const [body, expected] of cases) {
    const { status, type, text } = await ask(body);
    assert.equal([status, type], [400, "text/plain"], text);
    assert.match(text, expected);
  }
});

test("accepts POST only, on one path, and no cross-site requests from browsers", async () => {
  const body = { name: "a", mesh: "m" };
  for (const method of ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
    assert.is((await ask(body, { method })).status, 405);
  for (const path of ["/", "/token", "/tokens/a"]) assert.is((await ask(body, { path })).status, 404);
  const foreign: IncomingHttpHeaders[] = [
    { host: "localhost:5679", origin: "http://evil.example" },
    { host: "localhost:5679", "sec-fetch-site": "cross-site" },
    { host: "evil.example:5679", origin: "http://evil.example:5679" },
  ];
  for (const headers of foreign) {
    assert.equal(await ask(body, { headers }), {
      status: 403,
      type: "text/plain",
      text: "Cross-site request refused",
    });
  }
});

test("logs for whom it issued a token, and not the token", async () => {
  logged.length = 0;
  const { text } = await ask({ name: "audited", mesh: "m" });
  assert.is(logged.length, 1);
  assert.match(logged[0] ?? "", /issued a token\t{"name":"audited","mesh":"m"}/);
  assert.not.ok(logged.join().includes(text.slice(-40)));
});

test.run();
