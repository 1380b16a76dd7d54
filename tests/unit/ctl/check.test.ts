import fs from "node:fs";
import path from "node:path";
import * as assert from "uvu/assert";
import { categories } from "../../../src/ctl/check/categories.js";
import { type Check, failure, runChecks, success } from "../../../src/ctl/check/check.js";
import type { CheckContext } from "../../../src/ctl/check/context.js";
import { createTable, renderJson } from "../../../src/ctl/check/report.js";
import { explainLoaderFailure } from "../../../src/lib/envoy-binary.js";
import { UserError } from "../../../src/lib/errors.js";
import { suite } from "../../support/suite.js";
import { ago, contextWith, now, proxy, resultsOf, status } from "./check-stage.js";
import { golden } from "./stage.js";

const test = suite("kumactl check: order, dependencies and output");

const utf8 = { LANG: "C.UTF-8" };

async function tableOf(context: CheckContext, io = { color: false, env: utf8 as Readonly<Record<string, string>> }) {
  const table = createTable(io);
  return (await resultsOf(context)).map((result) => table.lines(result)).join("") + table.end();
}

const well = contextWith({ controlPlane: { proxies: async () => [proxy("redis-1"), proxy("web-1")] } });

const taken = UserError.of("port.unavailable", {
  address: "port 5678",
  problem: "the port is already taken",
  setting: "KUMA_XDS_SERVER_GRPC_PORT",
  zero: "any free port",
});

const down = contextWith({
  machine: {
    glibc: () => "2.28",
    diagnoseEnvoy: async () => explainLoaderFailure("/lib/libc.so.6: version `GLIBC_2.30' not found"),
    tryPort: async ({ port }) =>
      port === 5678 ? { error: taken, taken: true, holder: { program: "python3", pid: 4711 } } : undefined,
  },
  controlPlane: {
    async index() {
      throw UserError.of("api.unreachable", { address: "http://localhost:5681", reason: "connect ECONNREFUSED" });
    },
  },
});

const refused = (resource: string) => ({
  mesh: "default",
  dataplane: "greedy-1",
  type: "lds",
  resource,
  reason: "cannot bind '127.0.0.1:80':\n Address already in use \u001b[2J",
});

const ill = contextWith({
  controlPlane: {
    index: async () => ({ status: 200, tagline: "Kuma", version: "0.4.0", ahead: 75_000 }),
    settings: async () => ({ apiServer: { interface: "0.0.0.0" } }),
    status: async () =>
      status({
        store: { type: "postgres", problem: "PostgreSQL at db:5432: nothing listens there" },
        refusals: [{ server: "xds", limit: "first_message", times: 2, last: "2026-01-01T11:59:30.000Z" }],
      }),
    authorities: async () => [{ mesh: "default", state: "unusable", reason: "the mesh has no certificate authority" }],
    problems: async () => [
      { mesh: "default", code: "no-endpoint", message: 'no dataplane offers "redsi"', dataplanes: [] },
      {
        mesh: "default",
        code: "not-permitted",
        message: 'no TrafficPermission allows "a" to connect to "b"',
        dataplanes: [],
      },
    ],
    proxies: async () => [
      proxy("absent-1", { connection: "never", certificate: undefined }),
      proxy("gone-1", { connection: "offline", disconnected: ago(600) }),
      proxy("greedy-1", { refused: [refused("inbound:127.0.0.1:80"), refused("inbound:127.0.0.1:81")] }),
      proxy("poor-1", {
        certificate: undefined,
        refusal: { at: "2026-01-01T11:59:00Z", reason: "the token is invalid: there is no token" },
      }),
      proxy("deaf-1", { certificate: undefined, unanswered: ago(40) }),
      proxy("dead-1", { certificate: { taken: ago(100), expires: now } }),
      proxy("late-1", { certificate: { taken: ago(9_000), expires: ago(-1_000) } }),
    ],
  },
});

for (const [name, context] of Object.entries({ well, down, ill })) {
  test(`the table and the JSON of "${name}" are as reviewed`, async () => {
    const table = golden(`check-${name}.txt`, await tableOf(context));
    assert.is(table.actual, table.expected);
    const json = golden(`check-${name}.json`, renderJson(await resultsOf(context)));
    assert.is(json.actual, json.expected);
  });
}

test("text from others can neither break lines nor control the terminal", async () => {
  const text = await tableOf(ill);
  assert.match(
    text,
    "resource \"inbound:127.0.0.1:80\": cannot bind '127.0.0.1:80': Address already in use \\u001b[2J\n",
  );
  assert.not.match(text, "\u001b");
});

test("a locale without Unicode gets ASCII; the most specific variable wins", async () => {
  for (const env of [{}, { LANG: "C" }, { LANG: "de_DE.UTF-8", LC_ALL: "POSIX" }, { LANG: "C.UTF-8", LC_CTYPE: "C" }]) {
    const text = await tableOf(ill, { color: false, env });
    assert.match(text, /^[\n\x20-\x7e]+$/);
    assert.match(text, /^\[x\] every dataplane has connected$/m);
  }
  for (const env of [utf8, { LANG: "C", LC_CTYPE: "en_US.utf8" }]) {
    assert.match(await tableOf(ill, { color: false, env }), /^× every dataplane has connected$/m);
  }
});

test("a terminal gets colours", async () => {
  const text = await tableOf(ill, { color: true, env: utf8 });
  for (const mark of ["\u001b[32m√", "\u001b[33m‼", "\u001b[31m×"]) assert.ok(text.includes(mark), mark);
  assert.match(await tableOf(down, { color: true, env: utf8 }), /\n- every dataplane has connected \(skipped/);
});

test("of many reasons a table shows ten, JSON all", async () => {
  const many = Array.from({ length: 13 }, (_, i) => proxy(`p-${i}`, { connection: "never", certificate: undefined }));
  const context = contextWith({ controlPlane: { proxies: async () => many } });
  const text = await tableOf(context);
  assert.is(text.match(/has never connected/g)?.length, 10);
  assert.match(text, "    and 3 more: see -o json\n");
  assert.is(renderJson(await resultsOf(context)).match(/has never connected/g)?.length, 13);
});

const check = (id: string, more: Partial<Check> = {}): Check => ({
  id,
  anchor: id,
  description: `${id} holds`,
  run: () => success(),
  ...more,
});

async function outcomes(...checks: Check[]): Promise<string[]> {
  const lines: string[] = [];
  for await (const { check: ran, outcome } of runChecks([{ name: "c", checks }], contextWith())) {
    lines.push(`${ran.id} ${outcome.result}${outcome.result === "skipped" ? `: ${outcome.reason}` : ""}`);
  }
  return lines;
}

test("checks that depend on a failure are skipped transitively, and name the first failure", async () => {
  const untouched = {
    run() {
      throw new Error("it ran");
    },
  };
  assert.equal(
    await outcomes(
      check("a", { run: () => failure("x", "y") }),
      check("b", { needs: ["a"], ...untouched }),
      check("c", { needs: ["b"], applies: untouched.run, ...untouched }),
      check("d"),
      check("e", { needs: ["d", "c"], ...untouched }),
    ),
    [
      "a error",
      "b skipped: skipped until a holds",
      "c skipped: skipped until a holds",
      "d success",
      "e skipped: skipped until a holds",
    ],
  );
});

test("warnings and checks that do not apply skip no other check", async () => {
  assert.equal(
    await outcomes(
      check("a", { run: () => ({ result: "warning", reasons: ["x"], fix: "y" }) }),
      check("b", { applies: () => false }),
      check("c", { needs: ["a", "b"] }),
    ),
    ["a warning", "c success"],
  );
});

test("a UserError is the check's failure, a bug is thrown", async () => {
  const thrown = (error: Error) => ({
    run() {
      throw error;
    },
  });
  assert.equal(
    await outcomes(
      check("a", thrown(UserError.of("http.unreachable", { reason: "no answer" }))),
      check("b", { needs: ["a"] }),
    ),
    ["a error", "b skipped: skipped until a holds"],
  );
  await outcomes(check("a", thrown(new TypeError("undefined")))).then(
    () => assert.unreachable(),
    (error: Error) => assert.is(error.message, "undefined"),
  );
});

const all = categories.flatMap(({ checks }) => checks);

test("ids are unique, and every need names an earlier check", () => {
  const earlier = new Set<string>();
  for (const { id, needs = [] } of all) {
    for (const need of needs) assert.ok(earlier.has(need), `${id} needs ${need}`);
    assert.not.ok(earlier.has(id), id);
    earlier.add(id);
  }
});

test("every check is explained in the README, at its anchor, and every anchor belongs to a check", () => {
  const readme = fs.readFileSync(path.resolve("README.md"), "utf8");
  const anchors = [...readme.matchAll(/<a id="(check-[a-z-]+)"><\/a>/g)].map(([, id]) => id);
  assert.equal([...new Set(all.map(({ anchor }) => anchor))].sort(), anchors.sort());
});

test.run();
