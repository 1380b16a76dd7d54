import type { Sql } from "postgres";
import type { Connections } from "./connections.js";
import { DatabaseFailure, type Place } from "./failure.js";
import { schema, schemaVersion } from "./schema.js";

interface ServerRow {
  readonly server: number;
  readonly readOnly: boolean;
  readonly schema: string | null;
  readonly missing: string | null;
}

/** The parts of the schema, by their names in messages. */
const tables = ["resources", "resource_changes", "control_plane_instances", "kuma_schema"];
const triggers = ["announce_insert", "announce_update", "announce_delete", "announce_rename", "announce_truncate"];

const oldestServer = 11;

const look = (sql: Sql) => sql<ServerRow[]>`
  SELECT
    current_setting('server_version_num')::int AS server,
    pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS "readOnly",
    current_schema() AS schema,
    (
      SELECT string_agg(part, ', ') FROM (
        SELECT 'table ' || t.name AS part FROM json_array_elements_text(${JSON.stringify(tables)}::text::json) t (name)
        WHERE to_regclass(t.name) IS NULL
        UNION ALL
        SELECT 'trigger ' || t.name FROM json_array_elements_text(${JSON.stringify(triggers)}::text::json) t (name)
        WHERE NOT EXISTS (
          SELECT FROM pg_trigger WHERE tgrelid = to_regclass('resources') AND tgname = t.name AND tgenabled <> 'D'
        )
      ) parts
    ) AS missing`;

/**
 * Checks that the database is usable: writable, recent enough, with the current version of our schema. Creates or
 * migrates the schema unless `migrate` is false.
 * @throws DatabaseFailure
 */
export async function prepareDatabase(connections: Connections, place: Place, migrate: boolean): Promise<void> {
  const fail = (sentence: string) =>
    new DatabaseFailure("misconfigured", `PostgreSQL at ${place.host}:${place.port}: ${sentence}`);
  const [found] = await connections.run(look);
  if (found === undefined) throw fail("it does not return its version and settings");
  const server = Math.trunc(found.server / 10_000);
  if (server < oldestServer) throw fail(`its version is ${server}; kuma-cp needs ${oldestServer} or newer`);
  if (found.readOnly) {
    throw fail(
      "it is a read-only replica, or read-only by its settings; kuma-cp needs the primary (KUMA_STORE_POSTGRES_HOST)",
    );
  }
  if (found.schema === null) throw fail(`the search_path of user "${place.user}" names no schema that exists`);

  const version = await versionOf(connections, found.missing);
  if (version > schemaVersion) {
    throw fail(
      `the schema of database "${place.database}" has version ${version}, from a newer Kuma; ` +
        `this one supports ${schemaVersion}: run the newer one, or use another database`,
    );
  }
  if (version === schemaVersion && found.missing === null) return;
  if (!migrate) {
    const lack = found.missing === null ? `has version ${version}, not ${schemaVersion}` : `lacks ${found.missing}`;
    throw fail(
      `the schema of database "${place.database}" ${lack}; run \`kumactl install database-schema | psql\`, ` +
        "or set KUMA_STORE_POSTGRES_MIGRATE_SCHEMA=true",
    );
  }
  await connections.script(schema);
}

/** The version of the schema; 0 if none is recorded. */
async function versionOf(connections: Connections, missing: string | null): Promise<number> {
  if (missing?.includes("table kuma_schema")) return 0;
  const [row] = await connections.run(
    (sql) => sql<{ version: number | null }[]>`SELECT max(version) AS version FROM kuma_schema`,
  );
  return row?.version ?? 0;
}
