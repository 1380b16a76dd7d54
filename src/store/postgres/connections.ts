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
  /** After this a statement is given up. */
  readonly statementTimeoutMs: number;
  /** Of the pool; the change feed has one more. */
  readonly maxConnections: number;
  readonly tls: PostgresTls;
}

export interface ConnectionsOptions extends PostgresOptions {
  readonly max: number;
  /** False where a pooler lets no setting through at the start of a connection. */
  readonly serverTimeout: boolean;
  readonly onNotify?: (channel: string, payload: string) => void;
  /** A connection that was open has ended. */
  readonly onClose?: () => void;
}

/** Makes a query of the `postgres` package whose rows are R. */
type Statement<R> = (sql: Sql) => PromiseLike<readonly R[]>;
type Cursor<R> = (sql: Sql) => { cursor(rows: number): AsyncIterable<R[]> };

/** Connections to one database, made when they are needed. */
export interface Connections {
  /**
   * Runs one statement, which ends within its time.
   * @throws DatabaseFailure
   */
  run<R>(statement: Statement<R>): Promise<readonly R[]>;
  /** Runs several statements as psql would, on one connection. */
  script(text: string): Promise<void>;
  /** One statement whose rows come a few at a time, all of one snapshot. */
  inBatches<R>(size: number, statement: Cursor<R>): AsyncIterable<R[]>;
  /**
   * From now on statements are prepared once and then only run. Behind a transaction pooler they may not be: the next
   * one may reach another server connection, which does not know them.
   */
  mayPrepare(): void;
  close(): Promise<void>;
}

/** The server gives up a statement by itself; who hears nothing for this long after that gives up the connection. */
const graceMs = 1_000;

/** The package's own is up to 20 s, long after a database is back; whoever tries again here waits in its own way. */
const reconnectS = 0.02;

interface Pool {
  readonly sql: Sql;
  destroy(): void;
}

function openPool(options: ConnectionsOptions, prepare: boolean): Pool {
  const { host, port, user, password, database, max, serverTimeout, statementTimeoutMs } = options;
  const sockets = new Set<Socket>();
  const ended = new AbortController();
  let stillborn = false;

  async function connect(): Promise<Socket> {
    if (ended.signal.aborted) throw new DatabaseFailure("unavailable", "the connections were closed");
    // The package would connect again at once, without an end, for the statement that still waits.
    if (stillborn) {
      stillborn = false;
      const sentence = "the connection was closed before the server said anything";
      throw new DatabaseFailure("unavailable", `PostgreSQL at ${placeText(options)}: ${sentence}`);
    }
    const opened = await openSocket(options, ended.signal);
    sockets.add(opened);
    opened.once("close", () => {
      sockets.delete(opened);
      if (opened.bytesRead === 0) stillborn = true;
    });
    return opened;
  }

  /**
   * A socket that fails when it is first written to. The package takes no rejection for an answer: it would wait for
   * ever for a socket that it did not get, or for the end of a write to one that failed before it.
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
    // The types of the package do not have this option.
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

  /** A connection that answers nothing takes a place in the pool for ever: all of them are given up. */
  function giveUp(silent: Pool): void {
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
        giveUp(used);
      }, lateMs);
    });
    try {
      return await Promise.race([work(used.sql), late]);
    } catch (error) {
      const failure = toFailure(error, options);
      // After a failover the same name may lead to the new primary.
      if (failure.sqlState === "25006") giveUp(used);
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
      // Read anew with each statement.
      pool.sql.options.prepare = true;
    },
    async close() {
      closed = true;
      // What is under way may end; what hangs may not keep us.
      await Promise.race([
        pool.sql.end({ timeout: 1 }).catch(() => {}),
        new Promise((done) => setTimeout(done, 1_000).unref()),
      ]);
      pool.destroy();
    },
  };
}
