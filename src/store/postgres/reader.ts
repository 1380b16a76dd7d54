import type { Sql } from "postgres";
import type { Logger } from "../../lib/logger.js";
import type { Registry } from "../../resources/registry.js";
import type { Mirror } from "../mirror.js";
import type { Key, Stored } from "../store.js";
import type { Connections } from "./connections.js";
import { type ResourceRow, readRow } from "./rows.js";
import { quietTypes } from "./schema.js";

export interface ReaderOptions {
  readonly connections: Connections;
  readonly registry: Registry;
  readonly mirror: Mirror;
  readonly logger: Logger;
}

export interface Reader {
  /**
   * Resolves once the mirror holds everything that was committed before the call. Concurrent calls share one statement.
   * @throws DatabaseFailure
   */
  catchUp(): Promise<void>;
}

/** Rows per read; they are decoded without yielding. */
const batch = 200;

/**
 * The last change that was read. Its time distinguishes it from another one with the same number, in a database that
 * was restored from a backup.
 */
interface Anchor {
  readonly sequence: number;
  readonly time: string;
}

/** PostgreSQL returns bigint as text. */
type AnchorRow = { readonly sequence: string; readonly time: string };

type ListingRow = AnchorRow & { [Column in keyof ResourceRow]: ResourceRow[Column] | null };

/** Everything in the feed, each row with the newest change of its snapshot. */
const listing = (sql: Sql) => sql<ListingRow[]>`
  SELECT newest.sequence, newest.time, r.type, r.mesh, r.name, r.version, r.spec
  FROM (
    SELECT sequence, extract(epoch FROM changed_at)::text AS time
    FROM resource_changes ORDER BY sequence DESC LIMIT 1
  ) newest
  LEFT JOIN resources r ON r.type NOT IN ${sql(quietTypes)}
  ORDER BY r.type <> 'Mesh', r.mesh, r.type, r.name, r.namespace <> 'default'`;

const addFirstChange = (sql: Sql) => sql`
  INSERT INTO resource_changes (type, mesh, name, version, deleted)
  SELECT '', '', '', 0, true WHERE NOT EXISTS (SELECT FROM resource_changes)`;

interface ChangeRow extends AnchorRow, Key {
  readonly deleted: boolean;
  /** Null if the resource is deleted. */
  readonly version: number | null;
  readonly spec: string | null;
}

/**
 * The change at the anchor, which proves that none after it was dropped, and the changes after it with the resources as
 * they are now.
 */
const since = (sql: Sql, anchor: number) => sql<ChangeRow[]>`
  SELECT c.*, r.version, r.spec
  FROM (
    SELECT sequence, extract(epoch FROM changed_at)::text AS time, type, mesh, name, deleted
    FROM resource_changes WHERE sequence >= ${anchor} ORDER BY sequence LIMIT ${batch + 1}
  ) c
  LEFT JOIN LATERAL (
    SELECT version, spec FROM resources
    WHERE c.sequence > ${anchor} AND NOT c.deleted AND name = c.name AND mesh = c.mesh AND type = c.type
    ORDER BY namespace <> 'default' LIMIT 1
  ) r ON true
  ORDER BY c.sequence`;

const keyText = ({ type, mesh, name }: Key) => `${type}\n${mesh}\n${name}`;

export function createReader({ connections, registry, mirror, logger }: ReaderOptions): Reader {
  let anchor: Anchor | undefined;

  /** Reads the resource of a row. An unreadable row is logged, and the last known resource is kept. */
  function resourceOf(row: ResourceRow): Stored | undefined {
    const read = readRow(registry, row);
    if (read.kind === "resource") return read.resource;
    if (read.kind === "foreign") return undefined;
    const { type, mesh, name, version } = row;
    logger.error("an invalid row of the table resources is skipped", {
      type,
      mesh,
      name,
      version,
      reason: read.reason,
    });
    return mirror.get(row);
  }

  async function list(): Promise<void> {
    const resources = new Map<string, Stored>();
    let newest: Anchor | undefined;
    const foreign = new Set<string>();
    for await (const rows of connections.inBatches<ListingRow>(batch, listing)) {
      for (const { sequence, time, type, mesh, name, version, spec } of rows) {
        newest = { sequence: Number(sequence), time };
        if (type === null || mesh === null || name === null || version === null) continue;
        const row = { type, mesh, name, version, spec };
        // The same resource in another namespace, written by another Kuma: ours came first.
        if (resources.has(keyText(row))) continue;
        if (registry.byName(type) === undefined) foreign.add(type);
        const resource = resourceOf(row);
        if (resource !== undefined) resources.set(keyText(row), resource);
      }
    }
    if (newest === undefined) {
      // The table of changes was emptied: it gets a first entry again as the new starting point.
      await connections.run(addFirstChange);
      return list();
    }
    if (foreign.size > 0)
      logger.info("the database has resources of types that this version does not know", { types: [...foreign] });
    anchor = newest;
    mirror.apply({ kind: "listing", sequence: newest.sequence, resources: [...resources.values()] });
  }

  function apply(rows: readonly ChangeRow[]): void {
    const last = new Map(rows.map((row) => [keyText(row), row]));
    for (const row of rows) {
      if (last.get(keyText(row)) !== row) continue;
      const { type, mesh, name, version, spec } = row;
      const sequence = Number(row.sequence);
      if (row.deleted) {
        mirror.apply({ kind: "delete", sequence, key: { type, mesh, name } });
      } else if (version !== null) {
        const resource = resourceOf({ type, mesh, name, version, spec });
        if (resource !== undefined) mirror.apply({ kind: "put", sequence, resource });
      }
    }
  }

  /** The changes after `from`; undefined if they are not kept any more. */
  async function changesAfter(from: Anchor): Promise<readonly ChangeRow[] | undefined> {
    const [first, ...rows] = await connections.run((sql) => since(sql, from.sequence));
    if (Number(first?.sequence) !== from.sequence || first?.time !== from.time) return undefined;
    return rows.some(({ type }) => type === "") ? undefined : rows;
  }

  async function read(): Promise<void> {
    while (anchor !== undefined) {
      const rows = await changesAfter(anchor);
      if (rows === undefined) {
        logger.info("the changes since the last read are no longer stored; all resources are read again");
        anchor = undefined;
        break;
      }
      apply(rows);
      const last = rows.at(-1);
      if (last !== undefined) anchor = { sequence: Number(last.sequence), time: last.time };
      if (rows.length < batch) return;
    }
    await list();
  }

  let running: Promise<void> | undefined;
  let waiting: Promise<void> | undefined;

  function start(): Promise<void> {
    running = read().finally(() => {
      running = undefined;
    });
    return running;
  }

  return {
    catchUp() {
      if (running === undefined) return start();
      // The running read may have started before the caller's last write: only the next one is sure to see it.
      waiting ??= running
        .catch(() => {})
        .then(() => {
          waiting = undefined;
          return start();
        });
      return waiting;
    },
  };
}
