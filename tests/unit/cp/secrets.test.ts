import fs from "node:fs";
import type { IncomingHttpHeaders } from "node:http";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { secretsEndpoints } from "../../../src/cp/tokens/secrets.js";
import { secretsToken } from "../../../src/cp/tokens/secrets-token.js";
import { createLogger } from "../../../src/lib/logger.js";
import { createSiteGuard } from "../../../src/net/cross-site.js";
import { serveEndpoints } from "../../../src/net/endpoints.js";
import { registry } from "../../../src/resources/registry.js";
import { secretType } from "../../../src/resources/secret.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import { type Store, StoreError } from "../../../src/store/store.js";
import { suite } from "../../support/suite.js";

const test = suite("the secrets of a control plane");

const token = "t".repeat(43);
const right = { authorization: `Bearer ${token}` };
let store: Store;
let logged: string[];
let directory: string;

test.before.each(async () => {
  store = createMemoryStore(registry);
  logged = [];
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-secrets-"));
  await store.create({ type: "Secret", mesh: "", name: "signing-key", spec: { value: "a2V5" } });
  await store.create({ type: "Secret", mesh: "m", name: "builtinca.m", spec: { value: "Y2E=" } });
});
test.after.each(() => fs.rmSync(directory, { recursive: true }));

async function ask(method: string, headers: IncomingHttpHeaders, body: unknown = "", of: Store = store) {
  const endpoints = secretsEndpoints({
    store: of,
    token,
    guard: createSiteGuard({ allowed: () => false, advertisedHostname: "cp.example" }),
    logger: createLogger({ name: "test", level: "info", write: (line) => void logged.push(line) }),
  });
  const handle = serveEndpoints({ endpoints, layers: [] });
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const reply = await handle({
    method,
    path: "/secrets",
    query: "",
    headers,
    body: Buffer.from(text),
    peer: "127.0.0.1",
  });
  return { status: reply.status, text: String(reply.body ?? "") };
}

test("are returned to clients with the token, in the format of files", async () => {
  const { status, text } = await ask("GET", right);
  assert.is(status, 200);
  assert.equal(JSON.parse(text), {
    items: [
      { type: "Secret", name: "signing-key", value: "a2V5" },
      { type: "Secret", mesh: "m", name: "builtinca.m", value: "Y2E=" },
    ],
  });
});

test("are returned to nobody else, not even a browser with the token", async () => {
  for (const authorization of [
    "",
    "Bearer",
    "Bearer ",
    `Bearer ${token}x`,
    `bearer ${token}`,
    token,
    `Basic ${token}`,
  ]) {
    for (const method of ["GET", "PUT"]) {
      const { status, text } = await ask(method, { authorization });
      assert.is(status, 401);
      assert.not.match(text, "a2V5");
    }
  }
  assert.is((await ask("GET", {})).status, 401);
  assert.is((await ask("GET", { ...right, origin: "http://evil.example", host: "localhost:5679" })).status, 403);
  assert.is((await ask("DELETE", right)).status, 405);
  assert.is((await store.list(secretType)).length, 2);
});

test("can be created and replaced", async () => {
  assert.is((await ask("PUT", right, { type: "Secret", mesh: "m", name: "builtinca.m", value: "bmV3" })).status, 200);
  assert.is((await ask("PUT", right, { type: "Secret", name: "sds-server-cert", value: "Yw" })).status, 201);
  const value = async (mesh: string, name: string) =>
    ((await store.get({ type: "Secret", mesh, name }))?.spec as { value?: string } | undefined)?.value;
  assert.is(await value("m", "builtinca.m"), "bmV3");
  assert.is(await value("", "sds-server-cert"), "Yw==");
});

test("that can't be written are rejected without being repeated, not even in the log", async () => {
  const wrong: [unknown, RegExp][] = [
    ["{", /not valid JSON/],
    [[], /expected an object/],
    [{ type: "Mesh", name: "a", value: "c2VjcmV0" }, /type has to be Secret/],
    [{ type: "Secret", value: "c2VjcmV0" }, /name cannot be empty/],
    [{ type: "Secret", name: "a".repeat(101), value: "c2VjcmV0" }, /at most 100/],
    [{ type: "Secret", name: "a" }, /value cannot be empty/],
    [{ type: "Secret", name: "a", value: "c2VjcmV0!" }, /bytes as base64/],
    [{ type: "Secret", name: "a", value: "c2VjcmV0", x: 1 }, /unknown field/],
  ];
  for (const [body, expected] of wrong) {
    const { status, text } = await ask("PUT", right, body);
    assert.is(status, 400);
    assert.match(text, expected);
    assert.not.match(text + logged.join(""), "c2VjcmV0");
  }
});

test("are written again after a lost race, and not while the store is unavailable", async () => {
  let races = 2;
  const racing: Store = {
    ...store,
    async update(resource, version) {
      if (races-- > 0) throw new StoreError("conflict", resource);
      return store.update(resource, version);
    },
  };
  const body = { type: "Secret", mesh: "m", name: "builtinca.m", value: "bmV3" };
  assert.is((await ask("PUT", right, body, racing)).status, 200);
  const away: Store = { ...store, update: async (resource) => Promise.reject(new StoreError("unavailable", resource)) };
  assert.is((await ask("PUT", right, body, away)).status, 503);
});

test("are accessible with a token that is created once, readable by its owner only", async () => {
  const file = path.join(directory, "token");
  const made = await secretsToken(file, "SETTING");
  assert.ok(made.length >= 32);
  assert.is(fs.statSync(file).mode & 0o777, 0o600);
  assert.is(await secretsToken(file, "SETTING"), made);
  assert.is(fs.readFileSync(file, "utf8"), `${made}\n`);
});

test("are not accessible with a token that others can read, that is invalid, or that can't be stored", async () => {
  const refusal = (file: string) =>
    secretsToken(file, "SETTING").then(
      () => "taken",
      (error: Error) => error.message,
    );
  const file = path.join(directory, "token");
  fs.writeFileSync(file, token, { mode: 0o644 });
  assert.match(await refusal(file), /^SETTING names ".*token", which other users than its owner can access/);
  fs.chmodSync(file, 0o600);
  assert.is(await refusal(file), "taken");
  for (const content of ["", "short", `${token}\nand more`, "ü".repeat(40)]) {
    fs.writeFileSync(file, content);
    assert.match(await refusal(file), /contains no token of at least 32 visible characters/);
  }
  assert.match(await refusal(directory), /can be neither read nor created|is not a file|other users than its owner/);
  assert.match(await refusal("/nowhere/token"), /can be neither read nor created: ENOENT/);
});

test.run();
