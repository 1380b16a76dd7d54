import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import postgres, { type Sql } from "postgres";
import { DatabaseFailure, toFailure } from "./failure.js";
import { openSocket, type PostgresTls } from "./socket.js";
import { placeText } from "./unix-socket.js";

export interface PostgresOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly connectTimeoutMs: number;
  /** Statement timeout, in milliseconds. */
  readonly statementTimeoutMs: number;
  /** Size of the pool; the change feed uses one more connection. */
  readonly maxConnections: number;
  readonly tls: PostgresTls;
}

export interface ConnectionsOptions extends PostgresOptions {
  readonly max: number;
  /** False behind a pooler that rejects settings in the startup message. */
  readonly serverTimeout: boolean;
  readonly onNotify?: (channel: string, payload: string) => void;
  /** An open connection was closed. */
  readonly onClose?: () => void;
}

/** Creates a query of the `postgres` package with rows of type R. */
type Statement<R> = (sql: Sql) => PromiseLike<readonly R[]>;
type Cursor<R> = (sql: Sql) => { cursor(rows: number): AsyncIterable<R[]> };

/** A pool of connections to one database, opened on demand. */
export interface Connections {
  /**
   * Runs one statement, within its timeout.
   * @throws DatabaseFailure
   */
  run<R>(statement: Statement<R>): Promise<readonly R[]>;
  /** Runs several statements on one connection, like psql. */
  script(text: string): Promise<void>;
  /** Runs one statement and returns its rows in batches, all from one snapshot. */
  inBatches<R>(size: number, statement: Cursor<R>): AsyncIterable<R[]>;
  /**
   * Enables prepared statements. They don't work behind a transaction pooler: the next statement may run on another
   * server connection, which does not know them.
   */
  mayPrepare(): void;
  close(): Promise<void>;
}

/** The server cancels a statement by itself; if there is no response this long after that, the connection is closed. */
const graceMs = 1_000;

/** The package's own backoff is up to 20 s, long after a database is back. Our callers have a backoff of their own. */
const reconnectS = 0.02;

interface Pool {
  readonly sql: Sql;
  destroy(): void;
}

function openPool(options: ConnectionsOptions, prepare: boolean): Pool {
  const { host, port, user, password, database, max, serverTimeout, statementTimeoutMs } = options;
  const sockets = new Set<Socket>();
  const ended = new AbortController();
  let closedUnused = false;

  async function connect(): Promise<Socket> {
    if (ended.signal.aborted) throw new DatabaseFailure("unavailable", "the connections were closed");
    // Otherwise the package would reconnect at once, forever, for the pending statement.
    if (closedUnused) {
      closedUnused = false;
      const sentence = "the connection was closed before the server said anything";
      throw new DatabaseFailure("unavailable", `PostgreSQL at ${placeText(options)}: ${sentence}`);
    }
    const opened = await openSocket(options, ended.signal);
    sockets.add(opened);
    opened.once("close", () => {
      sockets.delete(opened);
      if (opened.bytesRead === 0) closedUnused = true;
    });
    return opened;
  }

  /**
   * A socket that fails on its first write. The package does not handle a rejected promise: it would wait forever for
   * the socket, or for the end of a write to a socket that failed earlier.
   */
  const broken = (error: Error) =>
    new Duplex({
      read() {},
      write(_chunk, _encoding, done) {
        done();
        this.destroy(error);
      },
    });

  const sql = postgres({
    host,
    port,
    user,
    password,
    database,
    max,
    prepare,
    // The package's types lack this option.
    ...({ socket: () => connect().catch((error: Error) => broken(error)) } as object),
    ssl: false,
    fetch_types: false,
    backoff: () => reconnectS,
    connect_timeout: options.connectTimeoutMs / 1000,
    onnotice: () => {},
    ...(options.onNotify === undefined ? {} : { onnotify: options.onNotify, max_lifetime: null }),
    ...(options.onClose === undefined ? {} : { onclose: options.onClose }),
    connection: {
      application_name: "kuma-cp",
      ...(serverTimeout ? { statement_timeout: statementTimeoutMs } : {}),
    },
  });
  return {
    sql,
    destroy() {
      ended.abort();
      sql.end({ timeout: 0 }).catch(() => {});
      for (const open of sockets) open.destroy();
    },
  };
}

export function openConnections(options: ConnectionsOptions): Connections {
  let prepare = false;
  let pool = openPool(options, prepare);
  let closed = false;
  const lateMs = options.statementTimeoutMs + graceMs;

  /** Replaces the pool: an unresponsive connection would occupy a slot forever. */
  function replace(silent: Pool): void {
    if (silent !== pool) return;
    silent.destroy();
    if (!closed) pool = openPool(options, prepare);
  }

  async function timed<T>(work: (sql: Sql) => PromiseLike<T>): Promise<T> {
    const used = pool;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(toFailure(Object.assign(new Error("no answer"), { code: "NO_ANSWER" }), options));
        replace(used);
      }, lateMs);
    });
    try {
      return await Promise.race([work(used.sql), late]);
    } catch (error) {
      const failure = toFailure(error, options);
      // After a failover the same host name may resolve to the new primary.
      if (failure.sqlState === "25006") replace(used);
      throw failure;
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    run: (statement) => timed((sql) => statement(sql)),
    async script(text) {
      await timed((sql) => sql.unsafe(text));
    },
    async *inBatches(size, statement) {
      const batches = statement(pool.sql).cursor(size)[Symbol.asyncIterator]();
      for (let next = await timed(() => batches.next()); !next.done; next = await timed(() => batches.next())) {
        yield next.value;
      }
    },
    mayPrepare() {
      prepare = true;
      // The package reads this option for each statement.
      pool.sql.options.prepare = true;
    },
    async close() {
      closed = true;
      // Running statements may finish; a hanging one must not delay us.
      await Promise.race([
        pool.sql.end({ timeout: 1 }).catch(() => {}),
        new Promise((done) => setTimeout(done, 1_000).unref()),
      ]);
      pool.destroy();
    },
  };
}
