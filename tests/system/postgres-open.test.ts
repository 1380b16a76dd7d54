import fs from "node:fs";
import path from "node:path";
import * as assert from "uvu/assert";
import { UserError } from "../../src/lib/errors.js";
import { dataplaneType } from "../../src/resources/dataplane.js";
import { registry } from "../../src/resources/registry.js";
import { quietTypes, schema, schemaVersion } from "../../src/store/postgres/schema.js";
import { issueCertificate } from "../support/certificates.js";
import { eventually } from "../support/eventually.js";
import { type Address, give, type PostgresServer, startPostgres } from "../support/postgres.js";
import { closeStores, dataplane, openStore } from "../support/postgres-stores.js";
import { suite } from "../support/suite.js";
import { startTcpProxy } from "../support/tcp-proxy.js";

const test = suite("opening the PostgreSQL store", { needs: "postgres" });

let server: PostgresServer;
let address: Address;

test.before(async () => {
  server = await startPostgres();
});
test.before.each(async () => {
  address = await server.createDatabase();
});
test.after.each(closeStores);
test.after(() => server.close());

/** The error message when the store can't be opened. */
async function refusal(...args: Parameters<typeof openStore>): Promise<string> {
  try {
    await openStore(...args);
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  throw new Error("it was opened");
}

const sql = () => server.superuser(address.database);

/** The versions that the database has of its schema. */
const noted = async () => (await sql()`SELECT version FROM kuma_schema`).map(({ version }) => version as unknown);

test("the schema is made when it is not there, by several at once, too", async () => {
  const stores = await Promise.all(Array.from({ length: 5 }, () => openStore(address)));
  for (const [index, { store }] of stores.entries()) await store.create(dataplane(`d-${index}`));
  assert.equal(await noted(), [schemaVersion]);
});

test("a directory of Unix sockets is reached without TLS, whatever the settings say of that", async () => {
  const sockets = fs.mkdtempSync("/tmp/kuma-pg-");
  fs.chmodSync(sockets, 0o777);
  try {
    await server.stop();
    await server.start({ unix_socket_directories: sockets });
    const local = { ...address, host: `${sockets}/` };
    const { store } = await openStore(local, { postgres: { tls: { mode: "verifyFull" } } });
    await store.create(dataplane("by-socket"));
    assert.is((await store.list(dataplaneType, "default")).length, 1);
    await closeStores();
  } finally {
    await server.stop();
    await server.start();
    fs.rmSync(sockets, { recursive: true });
  }
});

test("what kumactl prints is enough, and may be run again", async () => {
  const lack = await refusal(address, { migrate: false });
  assert.match(lack, /lacks .*table resources.*kumactl install database-schema \| psql/);
  for (let times = 0; times < 2; times++) await server.script(address, schema);
  const { store } = await openStore(address, { migrate: false });
  await store.create(dataplane("a"));
  await server.script(address, schema);
  assert.is((await store.list(dataplaneType)).length, 1);
});

test("what is missing of the schema is named", async () => {
  await openStore(address);
  await closeStores();
  await sql()`DROP TRIGGER announce_update ON resources`;
  await sql()`ALTER TABLE resources DISABLE TRIGGER announce_insert`;
  await sql()`DROP TABLE control_plane_instances`;
  const lack = await refusal(address, { migrate: false });
  for (const part of ["table control_plane_instances", "trigger announce_update", "trigger announce_insert"]) {
    assert.match(lack, part);
  }
  assert.not.match(lack, "announce_delete");
  const { store } = await openStore(address);
  await store.create(dataplane("a"));
});

test("a schema of a newer version is refused by kuma-cp and by the printed SQL, and stays", async () => {
  await openStore(address);
  await closeStores();
  await sql()`UPDATE kuma_schema SET version = ${schemaVersion + 1}`;
  assert.match(await refusal(address), new RegExp(`version ${schemaVersion + 1}, from a newer Kuma`));
  const said = await server.script(address, schema).catch((error: Error) => error.message);
  assert.match(String(said), /made by a newer Kuma/);
  assert.equal(await noted(), [schemaVersion + 1]);
});

test("the types that the triggers are silent about are those that do not feed", () => {
  const stored = registry.types.filter(({ feeds, name }) => !feeds && name !== "DataplaneOverview");
  assert.equal(
    stored.map(({ name }) => name),
    quietTypes,
  );
});

test("wrong settings are told apart, each by the name of what is wrong", async () => {
  assert.match(
    await refusal({ ...address, password: "guess" }),
    /password of user "kuma" is wrong.*KUMA_STORE_POSTGRES_PASSWORD/,
  );
  assert.match(await refusal({ ...address, database: "nope" }), /no database "nope".*KUMA_STORE_POSTGRES_DB_NAME/);
  assert.match(
    await refusal(address, { postgres: { tls: { mode: "verifyNone" } } }),
    /takes no TLS.*KUMA_STORE_POSTGRES_TLS_MODE/,
  );
  await sql()`CREATE ROLE poor LOGIN PASSWORD 'poor'`;
  assert.match(
    await refusal({ ...address, user: "poor", password: "poor" }),
    /user "poor" lacks a privilege: permission denied.*KUMA_STORE_POSTGRES_MIGRATE_SCHEMA/,
  );
});

test("a database that may only be read is refused", async () => {
  await openStore(address);
  await closeStores();
  await sql().unsafe(`ALTER DATABASE ${address.database} SET default_transaction_read_only = on`);
  assert.match(await refusal(address), /read-only.*needs the primary/);
});

test("a replica is refused; one that is promoted is not", async () => {
  await openStore(address);
  await closeStores();
  await server.stop();
  const signal = path.join(server.data, "standby.signal");
  fs.writeFileSync(signal, "");
  give(signal);
  await server.start();
  assert.match(await refusal(address), /read-only replica.*needs the primary/);
  await sql()`SELECT pg_promote()`;
  await openStore(address);
});

test("a server that is not there yet is waited for, and that is said", async () => {
  const lines: string[] = [];
  await server.stop();
  const opening = openStore(address, { onLog: (line) => lines.push(line) });
  await eventually(
    "it says so",
    () => lines.filter((line) => /not available yet.*nothing listens there/.test(line)).length > 1,
  );
  await server.start();
  await (await opening).store.create(dataplane("a"));
});

test("a server that takes connections and says nothing is not waited for without end", async () => {
  const proxy = await startTcpProxy(server.port);
  proxy.silent = true;
  const lines: string[] = [];
  const opening = openStore(
    { ...address, port: proxy.port },
    { postgres: { connectTimeoutMs: 200 }, onLog: (line) => lines.push(line) },
  );
  await eventually("it says so", () => lines.some((line) => /no connection within/.test(line)));
  proxy.silent = false;
  await opening;
  await closeStores();
  await proxy.close();
});

test("the wait for a database ends when it is told to", async () => {
  const controller = new AbortController();
  const opening = openStore({ ...address, port: 1 }, { signal: controller.signal }).catch((error: Error) => error.name);
  controller.abort();
  assert.is(await opening, "AbortError");
});

test("TLS: encrypted without a check, by the authority, and by the name", async () => {
  const authority = issueCertificate({ name: "test authority" });
  const stranger = issueCertificate({ name: "another authority" });
  const named = issueCertificate({ name: "postgres", by: authority, hosts: ["localhost"] });
  const client = issueCertificate({ name: "kuma", by: authority });
  for (const [name, text] of [
    ["server.crt", named.cert],
    ["server.key", named.key],
    ["root.crt", authority.cert],
  ] as const) {
    const file = path.join(server.data, name);
    fs.writeFileSync(file, text, { mode: 0o600 });
    give(file);
  }
  await server.stop();
  await server.start({ ssl: "on", ssl_ca_file: "root.crt" });
  const tls = (options: object) => ({ postgres: { tls: { mode: "verifyFull", ...options } as never } });
  const byName = { ...address, host: "localhost" };

  const { store } = await openStore(byName, tls({ ca: authority.cert }));
  await store.create(dataplane("a"));
  const [row] =
    await sql()`SELECT bool_and(ssl) AS ssl, count(*)::int AS count FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
    WHERE application_name = 'kuma-cp'`;
  assert.ok(row?.ssl && row.count > 0);

  assert.match(
    await refusal(address, tls({ ca: authority.cert })),
    /TLS failed: .*127\.0\.0\.1.*KUMA_STORE_POSTGRES_TLS/,
  );
  assert.match(await refusal(byName, tls({ ca: stranger.cert })), /TLS failed/);
  await openStore(address, tls({ mode: "verifyCa", ca: authority.cert }));
  assert.match(await refusal(address, tls({ mode: "verifyCa", ca: stranger.cert })), /TLS failed/);
  await openStore(address, tls({ mode: "verifyNone" }));
  await openStore(byName, tls({ ca: authority.cert, cert: client.cert, key: client.key }));

  await closeStores();
  const hba = path.join(server.data, "pg_hba.conf");
  const before = fs.readFileSync(hba, "utf8");
  fs.writeFileSync(
    hba,
    `hostssl all kuma all scram-sha-256 clientcert=verify-ca\n${before.replace(/^host\b/gm, "hostssl")}`,
  );
  await server.stop();
  await server.start({ ssl: "on", ssl_ca_file: "root.crt" });
  assert.match(await refusal(byName, tls({ ca: authority.cert })), /the server rejects user .*certificate/);
  assert.match(await refusal(address), /the server rejects user .*no encryption.*KUMA_STORE_POSTGRES_TLS_MODE/);
  await openStore(byName, tls({ ca: authority.cert, cert: client.cert, key: client.key }));
  await closeStores();
  fs.writeFileSync(hba, before);
  await server.stop();
  await server.start();
});

test.run();
