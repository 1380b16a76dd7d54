import type { Sql } from "postgres";
import { sleep } from "../../lib/deadline.js";
import type { Logger } from "../../lib/logger.js";
import type { Registry } from "../../resources/registry.js";
import type { Resource, ResourceType } from "../../resources/resource.js";
import { frozen } from "../frozen.js";
import type { Mirror } from "../mirror.js";
import { assertMesh, type Key, type Store, type Stored, StoreError, type Write } from "../store.js";
import { versionOf } from "../version.js";
import type { Connections } from "./connections.js";
import { DatabaseFailure } from "./failure.js";
import { numberOf, type ResourceRow, readRow, specText } from "./rows.js";
import { quietTypes } from "./schema.js";
import {
  deleteMesh,
  insert,
  insertAll,
  rehearse,
  remove,
  rowsOf,
  select,
  selectType,
  update,
  updateAll,
} from "./statements.js";

/** The parts that the store is made of. */
export interface StoreParts {
  readonly connections: Connections;
  readonly registry: Registry;
  readonly mirror: Mirror;
  readonly logger: Logger;
  /** Updates the mirror from the database. @throws DatabaseFailure */
  readonly catchUp: () => Promise<void>;
  /** Why the database is unavailable; undefined while it is available. */
  readonly failure: () => DatabaseFailure | undefined;
  /** Call when the database may be unavailable. */
  readonly suspect: () => void;
  readonly close: () => Promise<void>;
}

/** How long a read waits for the database before it returns the last known state, in milliseconds. */
const patienceMs = 2_000;
/** How often a statement that lost a race is tried. */
const mostTries = 5;
/** How many resources one statement reads or writes. */
const batch = 200;

/**
 * Never visible and of no real type. It is as long as a Dataplane, because a short row may still fit on a full disk.
 */
const rehearsed: Resource = { type: "WriteTest", mesh: "", name: "write-test", spec: { padding: "-".repeat(1_000) } };

const keyText = ({ type, mesh, name }: Key) => `${type}\n${mesh}\n${name}`;

function* slices<T>(values: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < values.length; start += batch) yield values.slice(start, start + batch);
}

/** Creates the store over a database that is ready, with a mirror that is filled and kept up to date by the feed. */
export function createStore(parts: StoreParts): Store {
  const { connections, registry, mirror, logger } = parts;
  const isQuiet = (type: string) => quietTypes.includes(type);

  /** Runs a write, and retries it if it lost a race for a lock. */
  async function write<R>(key: Key, statement: (sql: Sql) => PromiseLike<readonly R[]>): Promise<readonly R[]> {
    // Fails at once while the database is known to be unavailable.
    const failure = parts.failure();
    if (failure !== undefined) throw new StoreError("unavailable", key, failure);
    for (let tries = 1; ; tries++) {
      try {
        return await connections.run(statement);
      } catch (error) {
        if (!(error instanceof DatabaseFailure)) throw error;
        if (error.kind === "lost-race" && tries < mostTries) continue;
        if (error.kind === "unexpected") throw error;
        parts.suspect();
        throw new StoreError("unavailable", key, error);
      }
    }
  }

  /** Adds our own writes of types outside the feed to the mirror. */
  function noteWritten(resource: Resource, number: number): Stored {
    const { type, mesh, name, spec } = resource;
    const version = versionOf(number);
    const stored: Stored = Object.freeze({ type, mesh, name, spec: frozen(JSON.parse(specText(spec))), version });
    if (isQuiet(type)) mirror.apply({ kind: "put", sequence: mirror.sequence, resource: stored });
    return stored;
  }

  function noteDeleted({ type, mesh, name }: Key): void {
    if (!isQuiet(type)) return;
    mirror.apply({ kind: "delete", sequence: mirror.sequence, key: { type, mesh, name } });
  }

  /** Brings the mirror up to the state of the database at the call, unless the database is lost or too slow. */
  async function refresh(): Promise<void> {
    if (parts.failure() !== undefined) return;
    const enough = new AbortController();
    const caughtUp = parts.catchUp().catch((error: unknown) => {
      if (!(error instanceof DatabaseFailure)) throw error;
    });
    const timeout = sleep(patienceMs, enough.signal).catch(() => {});
    await Promise.race([caughtUp, timeout]).finally(() => enough.abort());
  }

  /** Reads resources of types outside the feed; undefined if the database is unavailable. */
  async function fetch(read: () => AsyncIterable<readonly ResourceRow[]>): Promise<Map<string, Stored> | undefined> {
    if (parts.failure() !== undefined) return undefined;
    const found = new Map<string, Stored>();
    try {
      for await (const rows of read()) {
        for (const row of rows) {
          const result = readRow(registry, row);
          if (result.kind === "resource") found.set(keyText(row), result.resource);
          else if (result.kind === "junk") {
            const { type, mesh, name, version } = row;
            logger.error("an invalid row of the table resources is skipped", {
              type,
              mesh,
              name,
              version,
              reason: result.reason,
            });
          }
        }
      }
    } catch (error) {
      if (!(error instanceof DatabaseFailure)) throw error;
      parts.suspect();
      return undefined;
    }
    return found;
  }

  /** Stores the result of a read in the mirror, for when the database is unavailable. */
  function remember(asked: readonly Key[], found: ReadonlyMap<string, Stored>): void {
    for (const key of asked) if (!found.has(keyText(key))) noteDeleted(key);
    for (const resource of found.values()) mirror.apply({ kind: "put", sequence: mirror.sequence, resource });
  }

  async function getQuiet(keys: readonly Key[]): Promise<void> {
    const found = await fetch(async function* () {
      for (const some of slices(keys)) yield await connections.run((sql) => select(sql, rowsOf(some)));
    });
    if (found !== undefined) remember(keys, found);
  }

  async function listQuiet(type: ResourceType, mesh: string | undefined): Promise<void> {
    const before = mirror.list(type, mesh);
    const found = await fetch(() => connections.inBatches(batch, (sql) => selectType(sql, type.name, mesh)));
    if (found !== undefined) remember(before, found);
  }

  async function getAll(keys: readonly Key[]): Promise<readonly Stored[]> {
    const quiet = keys.filter(({ type }) => isQuiet(type));
    if (quiet.length > 0) await getQuiet(quiet);
    if (quiet.length < keys.length) await refresh();
    return keys.flatMap((key) => mirror.get(key) ?? []);
  }

  /** Runs writes of one kind in batches; returns the new versions of the successful ones, by key. */
  async function writeSome(
    writes: readonly Write[],
    statement: typeof insertAll,
  ): Promise<ReadonlyMap<string, number>> {
    const versions = new Map<string, number>();
    for (const some of slices(writes)) {
      const [first] = some;
      if (first === undefined) continue;
      const rows = rowsOf(
        some.map(({ resource: { type, mesh, name, spec }, version }) => ({
          type,
          mesh,
          name,
          version: version && numberOf(version),
          spec: specText(spec),
        })),
      );
      for (const row of await write(first.resource, (sql) => statement(sql, rows)))
        versions.set(keyText(row), row.version);
    }
    return versions;
  }

  return {
    get available() {
      return parts.failure() === undefined;
    },
    get: async (key) => (await getAll([key]))[0],
    getAll,
    async list<Spec>(type: ResourceType<Spec>, mesh?: string) {
      await (isQuiet(type.name) ? listQuiet(type, mesh) : refresh());
      return mirror.list(type, mesh);
    },
    async create(resource) {
      const [row] = await write(resource, (sql) => insert(sql, resource));
      if (row === undefined) throw new StoreError("already-exists", resource);
      return noteWritten(resource, row.version);
    },
    async update(resource, version) {
      const [row] = await write(resource, (sql) => update(sql, resource, numberOf(version)));
      if (row === undefined) throw new StoreError("conflict", resource);
      return noteWritten(resource, row.version);
    },
    async writeAll(writes) {
      const created = await writeSome(
        writes.filter(({ version }) => version === undefined),
        insertAll,
      );
      const updated = await writeSome(
        writes.filter(({ version }) => version !== undefined),
        updateAll,
      );
      return writes.map(({ resource, version }) => {
        const written = (version === undefined ? created : updated).get(keyText(resource));
        if (written !== undefined) return noteWritten(resource, written);
        return new StoreError(version === undefined ? "already-exists" : "conflict", resource);
      });
    },
    async delete(key) {
      const rows = await write(key, (sql) => remove(sql, key));
      noteDeleted(key);
      if (rows.length === 0) throw new StoreError("not-found", key);
    },
    async deleteMesh(mesh) {
      assertMesh(mesh);
      await write({ type: "Mesh", mesh, name: mesh }, (sql) => deleteMesh(sql, mesh));
      for (const type of registry.types) if (isQuiet(type.name)) mirror.list(type, mesh).forEach(noteDeleted);
    },
    async tryWrite() {
      await write(rehearsed, (sql) => rehearse(sql, rehearsed));
    },
    async *changes(signal) {
      await refresh();
      yield* mirror.changes(signal);
    },
    close: parts.close,
  };
}
