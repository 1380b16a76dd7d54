import * as assert from "uvu/assert";
import { type ControlPlane, put, startControlPlane } from "../support/executable.js";
import { openCheck } from "../support/kumactl-check.js";
import { type Address, type PostgresServer, startPostgres } from "../support/postgres.js";
import { suite } from "../support/suite.js";

const test = suite("kumactl check detects a store that can't be written", { needs: "postgres" });

const kumactl = openCheck();
let server: PostgresServer;
let address: Address;
let cp: ControlPlane;

test.before(async () => {
  server = await startPostgres();
  address = await server.createDatabase();
  cp = await startControlPlane({
    KUMA_STORE_TYPE: "postgres",
    KUMA_STORE_POSTGRES_HOST: address.host,
    KUMA_STORE_POSTGRES_PORT: String(address.port),
    KUMA_STORE_POSTGRES_USER: address.user,
    KUMA_STORE_POSTGRES_PASSWORD: address.password,
    KUMA_STORE_POSTGRES_DB_NAME: address.database,
    KUMA_STORE_POSTGRES_STATEMENT_TIMEOUT: "2s",
  });
});
test.after(async () => {
  await cp.stop();
  await server.close();
  kumactl.close();
});

const until = (result: "success" | "error") => kumactl.until(cp.api, "store", result, 30_000);
const mesh = (name: string) => put(cp.api, `/meshes/${name}`, { type: "Mesh", name });

/** Breaks the store, runs the check, repairs the store, and expects the check to pass again. */
async function broken(how: { readonly break: string; readonly mend: string }, expected: RegExp): Promise<void> {
  const root = server.superuser(address.database);
  await root.unsafe(how.break);
  const { reason = "", fix = "" } = await until("error");
  assert.match(reason, /^no change can be stored, and the state of dataplanes is not recorded meanwhile: /);
  assert.match(reason, expected);
  assert.match(fix, /disk space/);
  await root.unsafe(how.mend);
  await until("success");
  assert.ok([200, 201].includes(await mesh("written")), "it can be written to again");
}

test("a writable store", async () => {
  assert.is((await until("success")).detail, "postgres");
});

test("a database that became read-only", () =>
  broken(
    {
      break: `ALTER DATABASE ${address.database} SET default_transaction_read_only = on;
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${address.database}' AND usename = 'kuma'`,
      mend: `ALTER DATABASE ${address.database} SET default_transaction_read_only = off`,
    },
    /read-only/,
  ));

test("a full disk: a new row has no room, although existing rows can still be updated", () =>
  broken(
    {
      break: `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          RAISE EXCEPTION 'could not extend file "base/1/2": No space left on device' USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER full_disk BEFORE INSERT ON resources FOR EACH STATEMENT EXECUTE FUNCTION full_disk()`,
      mend: "DROP TRIGGER full_disk ON resources; DROP FUNCTION full_disk()",
    },
    /No space left on device/,
  ));

test("a revoked privilege", () =>
  broken(
    {
      break:
        "ALTER TABLE resources OWNER TO postgres; REVOKE ALL ON resources FROM kuma; GRANT SELECT ON resources TO kuma",
      mend: "GRANT ALL ON resources TO kuma; ALTER TABLE resources OWNER TO kuma",
    },
    /user "kuma" lacks a privilege: permission denied for table resources/,
  ));

test("a held lock: a write that does not finish", async () => {
  const root = server.superuser(address.database);
  const locked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const holding = root.begin(async (sql) => {
    await sql`LOCK TABLE resources IN SHARE MODE`;
    locked.resolve();
    await release.promise;
  });
  await locked.promise;
  assert.match((await until("error")).reason ?? "", /KUMA_STORE_POSTGRES_STATEMENT_TIMEOUT|has not ended within/);
  release.resolve();
  await holding;
  await until("success");
});

test("a database that goes away and comes back", async () => {
  await server.stop();
  assert.match((await until("error")).reason ?? "", new RegExp(`PostgreSQL at 127\\.0\\.0\\.1:${address.port}: `));
  await server.start();
  await until("success");
});

test("the attempts leave nothing behind", async () => {
  const root = server.superuser(address.database);
  assert.equal([...(await root`SELECT name FROM resources WHERE type NOT IN ('Mesh', 'Secret')`)], []);
});

test.run();
