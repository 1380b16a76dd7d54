import type { ISql, Sql } from "postgres";
import type { Resource } from "../../resources/resource.js";
import type { Key } from "../store.js";
import type { Connections } from "./connections.js";
import { type ResourceRow, specText } from "./rows.js";
import { housekeepingLock } from "./schema.js";

/** Several rows as one JSON parameter: to send arrays, the `postgres` package would have to query types first. */
export const rowsOf = (values: readonly object[]) => JSON.stringify(values);

export const insert = (sql: ISql, { type, mesh, name, spec }: Resource) => sql<{ version: number }[]>`
  INSERT INTO resources (name, namespace, mesh, type, version, spec)
  SELECT ${name}, 'default', ${mesh}, ${type}, 0, ${specText(spec)}
  WHERE NOT EXISTS (SELECT FROM resources WHERE name = ${name} AND mesh = ${mesh} AND type = ${type})
  ON CONFLICT DO NOTHING RETURNING version`;

export const update = (sql: Sql, { type, mesh, name, spec }: Resource, version: number) => sql<{ version: number }[]>`
  UPDATE resources SET version = version + 1, spec = ${specText(spec)}
  WHERE name = ${name} AND mesh = ${mesh} AND type = ${type} AND version = ${version} RETURNING version`;

const takenBack = new Error("taken back");

/** Inserts a resource like `insert`, including triggers and locks, in a transaction that is rolled back. */
export async function rehearse(sql: Sql, resource: Resource): Promise<readonly never[]> {
  try {
    await sql.begin(async (transaction) => {
      await insert(transaction, resource);
      throw takenBack;
    });
  } catch (error) {
    if (error !== takenBack) throw error;
  }
  return [];
}

/**
 * Deletes the Mesh itself first: the count requires it to be gone. One statement, so that no other lock can come in
 * between.
 */
export const deleteMesh = (sql: Sql, mesh: string) => sql`
  WITH own AS (DELETE FROM resources WHERE mesh = ${mesh} AND type = 'Mesh' RETURNING 1)
  DELETE FROM resources WHERE mesh = ${mesh} AND type <> 'Mesh' AND (SELECT count(*) FROM own) >= 0`;

export interface WrittenRow extends Key {
  readonly version: number;
}

export const insertAll = (sql: Sql, rows: string) => sql<WrittenRow[]>`
  INSERT INTO resources (name, namespace, mesh, type, version, spec)
  SELECT w.name, 'default', w.mesh, w.type, 0, w.spec
  FROM json_to_recordset(${rows}::text::json) AS w (type text, mesh text, name text, spec text)
  WHERE NOT EXISTS (SELECT FROM resources r WHERE r.name = w.name AND r.mesh = w.mesh AND r.type = w.type)
  ON CONFLICT DO NOTHING RETURNING type, mesh, name, version`;

export const updateAll = (sql: Sql, rows: string) => sql<WrittenRow[]>`
  UPDATE resources r SET version = r.version + 1, spec = w.spec
  FROM json_to_recordset(${rows}::text::json) AS w (type text, mesh text, name text, version int, spec text)
  WHERE r.name = w.name AND r.mesh = w.mesh AND r.type = w.type AND r.version = w.version
  RETURNING r.type, r.mesh, r.name, r.version`;

export const select = (sql: Sql, rows: string) => sql<ResourceRow[]>`
  SELECT r.type, r.mesh, r.name, r.version, r.spec
  FROM json_to_recordset(${rows}::text::json) AS w (type text, mesh text, name text)
  JOIN resources r ON r.name = w.name AND r.mesh = w.mesh AND r.type = w.type`;

export const selectType = (sql: Sql, type: string, mesh: string | undefined) => sql<ResourceRow[]>`
  SELECT type, mesh, name, version, spec FROM resources
  WHERE type = ${type} ${mesh === undefined ? sql`` : sql`AND mesh = ${mesh}`} ORDER BY mesh, name`;

export const remove = (sql: Sql, { type, mesh, name }: Key) => sql<{ version: number }[]>`
  DELETE FROM resources WHERE name = ${name} AND mesh = ${mesh} AND type = ${type} RETURNING version`;

/** Deletes changes beyond the retention. The newest change is kept: readers need it as their anchor. */
export async function forgetChanges(
  connections: Connections,
  { retainedMs, retainedChanges }: { readonly retainedMs: number; readonly retainedChanges: number },
): Promise<void> {
  await connections.run(
    (sql) => sql`
      DELETE FROM resource_changes
      WHERE (SELECT pg_try_advisory_xact_lock(${sql.unsafe(housekeepingLock)})) AND (
        sequence < (SELECT max(sequence) FROM resource_changes) - ${retainedChanges}::bigint
        OR (
          changed_at < now() - ${retainedMs}::float8 * interval '1 millisecond'
          AND sequence < (SELECT max(sequence) FROM resource_changes)
        )
      )`,
  );
}
