import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import {
  anyPorts,
  type ControlPlane,
  put,
  runProgram,
  startControlPlane,
  startProgram,
} from "../support/executable.js";
import { freePort } from "../support/ports.js";
import { type Address, type PostgresServer, startPostgres } from "../support/postgres.js";
import { suite } from "../support/suite.js";
import { startTcpProxy } from "../support/tcp-proxy.js";

const test = suite("kuma-cp with PostgreSQL", { needs: "postgres" });

let server: PostgresServer;
let address: Address;
const running: ControlPlane[] = [];

test.before(async () => {
  server = await startPostgres();
});
test.before.each(async () => {
  // A test that failed may have left it stopped.
  await server.start();
  address = await server.createDatabase();
});
test.after.each(async () => {
  for (const cp of running.splice(0)) if (cp.child.exitCode === null) await cp.kill();
});
test.after(() => server.close());

const settings = (of: Address = address): Record<string, string> => ({
  KUMA_STORE_TYPE: "postgres",
  KUMA_STORE_POSTGRES_HOST: of.host,
  KUMA_STORE_POSTGRES_PORT: String(of.port),
  KUMA_STORE_POSTGRES_USER: of.user,
  KUMA_STORE_POSTGRES_PASSWORD: of.password,
  KUMA_STORE_POSTGRES_DB_NAME: of.database,
});

async function start(env: Readonly<Record<string, string>> = {}): Promise<ControlPlane> {
  const cp = await startControlPlane({ ...settings(), ...env });
  running.push(cp);
  return cp;
}

const json = { "content-type": "application/json" };
const status = async (url: string, init?: RequestInit) => (await fetch(url, init)).status;
const read = async (url: string) => (await (await fetch(url)).json()) as { items: { name: string }[] };
const names = async (cp: ControlPlane, path: string) => (await read(`${cp.api}${path}`)).items.map(({ name }) => name);

function dataplane(name: string, service = "web") {
  const inbound = [{ interface: "127.0.0.1:8000:80", tags: { service } }];
  return { type: "Dataplane", mesh: "default", name, networking: { inbound } };
}

test("a mesh survives a restart, and the default mesh stays as it was edited", async () => {
  const first = await start();
  assert.is(await put(first.api, "/meshes/kept", { type: "Mesh", name: "kept" }), 201);
  const edited = { type: "Mesh", name: "default", logging: { backends: [{ name: "f", file: { path: "/tmp/f" } }] } };
  assert.is(await put(first.api, "/meshes/default", edited), 200);
  const before = await read(`${first.api}/meshes`);
  assert.is(await first.stop(), 0, first.output());
  const second = await start();
  assert.equal(await read(`${second.api}/meshes`), before);
  assert.not.match(second.output(), /forgets everything/);
});

test("two control planes show the same at once, and share the key of tokens and the SDS certificate", async () => {
  const [a, b] = await Promise.all([start(), start()]);
  assert.ok(a && b);
  for (let round = 0; round < 20; round++) {
    const path = `/meshes/default/dataplanes/d-${round}`;
    assert.is(await put(a.api, path, dataplane(`d-${round}`)), 201);
    assert.is(await put(b.api, path, dataplane(`d-${round}`, "other")), 200, "the other one sees it and replaces it");
    assert.is(await status(`${a.api}${path}`, { method: "DELETE" }), 200);
    assert.is(await status(`${b.api}${path}`), 404);
  }
  for (const name of ["c", "a", "b"])
    assert.is(await put(a.api, `/meshes/default/dataplanes/${name}`, dataplane(name)), 201);
  assert.equal(await names(b, "/meshes/default/dataplanes"), ["a", "b", "c"], "in the order of names");
  const secrets = await server.superuser(
    address.database,
  )`SELECT name, mesh FROM resources WHERE type = 'Secret' ORDER BY name`;
  assert.equal(
    secrets.map(({ name, mesh }) => [name, mesh]),
    [
      ["builtinca.default", "default"],
      ["dataplane-token-signing-key", ""],
      ["sds-server-cert", ""],
    ],
  );
});

test("of two concurrent writers of one resource the slower gets a conflict, and can retry", async () => {
  const [a, b] = [await start(), await start()];
  await put(a.api, "/meshes/default/dataplanes/d", dataplane("d"));
  const counts: Record<number, number> = {};
  for (let round = 0; round < 20; round++) {
    const answers = await Promise.all(
      [a, b].flatMap((cp, index) =>
        [0, 1].map((again) =>
          put(cp.api, "/meshes/default/dataplanes/d", dataplane("d", `s-${round}-${index}-${again}`)),
        ),
      ),
    );
    for (const answer of answers) counts[answer] = (counts[answer] ?? 0) + 1;
    assert.ok(answers.includes(200));
  }
  assert.equal(
    Object.keys(counts).filter((code) => code !== "200" && code !== "409"),
    [],
  );
});

test("without the database: reads from memory, writes rejected with the reason; once it is back: everything as before", async () => {
  const cp = await start();
  await put(cp.api, "/meshes/default/dataplanes/d", dataplane("d"));
  await server.stop();
  await eventually("it is not ready", async () => (await status(`${cp.health}/ready`)) === 503);
  assert.is(await status(`${cp.health}/healthy`), 200);
  assert.equal(await names(cp, "/meshes/default/dataplanes"), ["d"]);
  assert.is(await status(`${cp.api}/meshes/default/dataplanes/d`), 200);
  assert.is(await status(`${cp.api}/meshes/default/dataplanes/nope`), 404);
  assert.is(await status(`${cp.api}/meshes/default/dataplanes+insights`), 200);
  const bootstrap = { method: "POST", body: JSON.stringify({ mesh: "default", name: "d" }) };
  assert.is(await status(`${cp.bootstrap}/bootstrap`, bootstrap), 200);
  for (const [method, title] of [
    ["PUT", "Could not update a resource"],
    ["DELETE", "Could not delete a resource"],
  ] as const) {
    const body = method === "PUT" ? { body: JSON.stringify(dataplane("d", "other")), headers: json } : {};
    const answer = await fetch(`${cp.api}/meshes/default/dataplanes/d`, { method, ...body });
    assert.equal([answer.status, answer.headers.get("retry-after")], [503, "5"]);
    const said = (await answer.json()) as {
      title: string;
      details: string;
      causes: { field: string; message: string }[];
    };
    assert.equal([said.title, said.details], [title, "Store is not available"]);
    assert.match(said.causes[0]?.message ?? "", /PostgreSQL at 127\.0\.0\.1:\d+: /);
  }
  await eventually("the log says so", () =>
    /the database is lost: reads go on from memory, writes are refused/.test(cp.output()),
  );
  await server.start();
  await eventually("it is ready again", async () => (await status(`${cp.health}/ready`)) === 200);
  await eventually("the log says so", () => /the database is back/.test(cp.output()));
  assert.is(await put(cp.api, "/meshes/default/dataplanes/d", dataplane("d", "other")), 200);
});

test("a database that stops answering counts as unavailable, and is used again when it answers", async () => {
  const proxy = await startTcpProxy(server.port);
  const short = { KUMA_STORE_POSTGRES_STATEMENT_TIMEOUT: "2s", KUMA_STORE_POSTGRES_CONNECTION_TIMEOUT: "2" };
  const cp = await start({ ...settings({ ...address, port: proxy.port }), ...short });
  try {
    proxy.silent = true;
    assert.equal(await names(cp, "/meshes"), ["default"]);
    await eventually("it is not ready", async () => (await status(`${cp.health}/ready`)) === 503);
    assert.is(await put(cp.api, "/meshes/m", { type: "Mesh", name: "m" }), 503);
    proxy.silent = false;
    await eventually("it is ready again", async () => (await status(`${cp.health}/ready`)) === 200);
    assert.is(await put(cp.api, "/meshes/m", { type: "Mesh", name: "m" }), 201);
  } finally {
    await cp.kill();
    await proxy.close();
  }
});

test("the database turns read-only: reads continue, writes are rejected with that reason", async () => {
  const cp = await start();
  const sql = server.superuser(address.database);
  await sql.unsafe(`ALTER DATABASE ${address.database} SET default_transaction_read_only = on`);
  await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kuma-cp'`;
  await eventually("it is not ready", async () => (await status(`${cp.health}/ready`)) === 503);
  assert.equal(await names(cp, "/meshes"), ["default"]);
  const answer = await fetch(`${cp.api}/meshes/m`, {
    method: "PUT",
    headers: json,
    body: '{"type":"Mesh","name":"m"}',
  });
  assert.is(answer.status, 503);
  assert.match(await answer.text(), /read-only/);
  await sql.unsafe(`ALTER DATABASE ${address.database} RESET default_transaction_read_only`);
  await eventually("it is ready again", async () => (await status(`${cp.health}/ready`)) === 200);
  assert.is(await put(cp.api, "/meshes/m", { type: "Mesh", name: "m" }), 201);
});

test("without a database it waits, says so, and serves nothing; it can be stopped meanwhile", async () => {
  await server.stop();
  const port = await freePort();
  const health = { ...anyPorts, ...settings(), KUMA_XDS_SERVER_DIAGNOSTICS_PORT: String(port) };
  const waiting = startProgram("kuma-cp", ["run"], health);
  const url = `http://127.0.0.1:${port}`;
  try {
    await eventually("it says so", () => /not available yet; retrying.*nothing listens there/.test(waiting.output()));
    assert.equal([await status(`${url}/healthy`), await status(`${url}/ready`)], [200, 503]);
    assert.not.match(waiting.output(), /Next, in another terminal/);
    assert.is(await waiting.stop(), 0, waiting.output());
    const second = startProgram("kuma-cp", ["run"], health);
    await eventually("it says so", () => /not available yet/.test(second.output()));
    await server.start();
    await eventually("it starts", () => second.output().includes("Next, in another terminal"));
    assert.is(await second.stop(), 0, second.output());
  } finally {
    if (waiting.child.exitCode === null) await waiting.kill();
    await server.start();
  }
});

test("a problem that waiting can't fix ends the start with one line that names it", async () => {
  const cases: readonly [Record<string, string>, RegExp][] = [
    [{ KUMA_STORE_POSTGRES_PASSWORD: "guess" }, /password of user "kuma" is wrong/],
    [{ KUMA_STORE_POSTGRES_DB_NAME: "nope" }, /no database "nope"/],
    [{ KUMA_STORE_POSTGRES_TLS_MODE: "verifyNone" }, /takes no TLS connections/],
    [{ KUMA_STORE_POSTGRES_MIGRATE_SCHEMA: "false" }, /lacks .*kumactl install database-schema/],
    [
      { KUMA_STORE_POSTGRES_TLS_MODE: "verifyCa", KUMA_STORE_POSTGRES_TLS_CA_PATH: "/nope.pem" },
      /KUMA_STORE_POSTGRES_TLS_CA_PATH names "\/nope\.pem", which can't be read/,
    ],
  ];
  for (const [env, expected] of cases) {
    const cp = startProgram("kuma-cp", ["run"], { ...anyPorts, ...settings(), ...env });
    assert.is(await cp.ended, 1, cp.output());
    const errors = cp.output().match(/^Error: .*$/gm) ?? [];
    assert.is(errors.length, 1, cp.output());
    assert.match(errors[0] ?? "", expected);
    assert.not.match(cp.output(), /This is a bug/);
    assert.not.match(cp.output(), /guess/);
  }
});

test("a control plane leaves no trace when it exits, and its password appears nowhere", async () => {
  const cp = await start();
  const config = await (await fetch(`${cp.api}/config`)).text();
  assert.match(config, /"password": "\*\*\*\*\*"/);
  assert.not.match(cp.output(), /"password":"kuma"/);
  const instances = () => server.superuser(address.database)`SELECT id FROM control_plane_instances`;
  assert.is((await instances()).length, 1);
  assert.is(await cp.stop(), 0, cp.output());
  assert.is((await instances()).length, 0);
});

test("everything moves from the memory store into PostgreSQL and back, with keys and certificates", async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-move-"));
  const file = (name: string) => path.join(directory, name);
  const secretsFile = file("secrets-token");
  const withSecrets = { KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_SECRETS_TOKEN_FILE: secretsFile };
  const kumactl = (cp: ControlPlane, ...words: string[]) => {
    const config = `contexts: [{name: c, controlPlane: p}]\ncontrolPlanes: [{name: p, coordinates: {apiServer: {url: "${cp.api}"}}}]\ncurrentContext: c\n`;
    fs.writeFileSync(file("config"), config);
    const run = runProgram("kumactl", ["--config-file", file("config"), ...words]);
    assert.is(run.status, 0, run.stderr);
    return run.stdout;
  };
  const move = async (from: ControlPlane, to: ControlPlane) => {
    const exported = kumactl(from, "export", "--secrets", secretsFile);
    fs.writeFileSync(file("backup.yaml"), exported);
    kumactl(to, "apply", "-f", file("backup.yaml"), "--secrets", secretsFile);
    // Compared by hand: the difference would be keys.
    assert.ok(kumactl(to, "export", "--secrets", secretsFile) === exported);
    return exported;
  };
  try {
    const memory = await startControlPlane(withSecrets);
    running.push(memory);
    assert.is(fs.statSync(secretsFile).mode & 0o777, 0o600);
    for (const name of ["one", "two"]) await put(memory.api, `/meshes/${name}`, { type: "Mesh", name });
    for (const name of ["a", "b"]) {
      const path = `/meshes/one/dataplanes/${name}`;
      assert.is(await put(memory.api, path, { ...dataplane(name), mesh: "one" }), 201);
    }
    const first = await start(withSecrets);
    const exported = await move(memory, first);
    for (const name of ["builtinca.one", "dataplane-token-signing-key", "sds-server-cert"])
      assert.match(exported, name);
    assert.equal(await read(`${first.api}/meshes/one/dataplanes`), await read(`${memory.api}/meshes/one/dataplanes`));
    await first.stop();
    // Started again, it signs tokens with the key of the other.
    const again = await start(withSecrets);
    const rows = await server.superuser(
      address.database,
    )`SELECT spec FROM resources WHERE name = 'dataplane-token-signing-key'`;
    assert.match(exported, (JSON.parse(String(rows[0]?.spec)) as { value: string }).value);
    const back = await startControlPlane(withSecrets);
    running.push(back);
    assert.ok((await move(again, back)) === exported);
    assert.is(await status(`${again.tokens}/secrets`), 401);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});

test.run();
