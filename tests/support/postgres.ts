import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import postgres, { type Sql } from "postgres";
import { eventually } from "./eventually.js";
import { freePort } from "./ports.js";
import { give, owner, programs } from "./postgres-package.js";

export { give } from "./postgres-package.js";

/** The location of a database, with the names of kuma-cp's settings. */
export interface Address {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export interface PostgresServer {
  readonly port: number;
  /** The data directory; its configuration files may be changed before a restart. */
  readonly data: string;
  /** Creates an empty database that belongs to the user kuma. */
  createDatabase(): Promise<Address>;
  /** A connection as the superuser; closed with the server. */
  superuser(database: string): Sql;
  /** Runs a script, as its owner would with psql. */
  script(address: Address, text: string): Promise<void>;
  /** Ends all connections and the server: gracefully, or as a crash does. */
  stop(how?: "fast" | "immediate"): Promise<void>;
  /** Starts it again on the same port, with additional settings, unless it runs. */
  start(settings?: Readonly<Record<string, string>>): Promise<void>;
  /** Stops it for good and removes its files. */
  close(): Promise<void>;
}

const superuser = "postgres";
const password = "postgres";
const signals = { fast: "SIGINT", immediate: "SIGQUIT" } as const;

/** Settings for tests: losing data in a crash of the machine does not matter. */
const hasty = { fsync: "off", full_page_writes: "off", synchronous_commit: "off" };

let databases = 0;

/** Starts a PostgreSQL server from the npm package on a free port of 127.0.0.1. Resolves once it is ready. */
export async function startPostgres(settings: Readonly<Record<string, string>> = hasty): Promise<PostgresServer> {
  const bin = programs();
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-postgres-"));
  const data = path.join(root, "data");
  const passwordFile = path.join(root, "password");
  fs.mkdirSync(data, { mode: 0o700 });
  fs.writeFileSync(passwordFile, password);
  for (const file of [root, data, passwordFile]) give(file);
  const env = { PATH: process.env.PATH, TZ: "UTC" };
  const words = ["-D", data, "-U", superuser, "--auth=scram-sha-256", `--pwfile=${passwordFile}`];
  const made = spawnSync(path.join(bin, "initdb"), [...words, "--encoding=UTF8", "--locale=C", "--no-sync"], {
    ...owner,
    env,
    cwd: root,
    encoding: "utf8",
  });
  if (made.status !== 0) throw new Error(`initdb failed: ${made.error ?? ""} ${made.stdout}${made.stderr}`);

  const port = await freePort();
  const clients: Sql[] = [];
  let server: ChildProcess | undefined;
  let output = "";

  const connect = (database: string) =>
    postgres({
      host: "127.0.0.1",
      port,
      user: superuser,
      password,
      database,
      max: 2,
      backoff: () => 0.05,
      onnotice: () => {},
    });

  async function start(more: Readonly<Record<string, string>> = {}): Promise<void> {
    if (server !== undefined) return;
    const options = { ...settings, listen_addresses: "127.0.0.1", unix_socket_directories: "", port, ...more };
    const flags = Object.entries(options).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const child = spawn(path.join(bin, "postgres"), ["-D", data, ...flags], {
      ...owner,
      env,
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    server = child;
    output = "";
    await eventually("PostgreSQL accepts connections", () => {
      if (child.exitCode !== null) throw new Error(output);
      return output.includes("ready to accept");
    });
  }

  async function stop(how: keyof typeof signals = "fast"): Promise<void> {
    const child = server;
    server = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signals[how]);
    await ended;
  }

  await start();
  const admin = connect("postgres");
  clients.push(admin);
  await admin.unsafe("CREATE ROLE kuma LOGIN PASSWORD 'kuma'");

  return {
    port,
    data,
    async createDatabase() {
      const database = `kuma_${process.pid}_${databases++}`;
      await admin.unsafe(`CREATE DATABASE ${database} OWNER kuma`);
      return { host: "127.0.0.1", port, user: "kuma", password: "kuma", database };
    },
    superuser(database) {
      const client = connect(database);
      clients.push(client);
      return client;
    },
    async script({ user, password, database }, text) {
      // On one connection, because a script may begin a transaction.
      const client = postgres({ host: "127.0.0.1", port, user, password, database, max: 1, onnotice: () => {} });
      await client.unsafe(text).finally(() => client.end());
    },
    stop,
    start,
    async close() {
      await Promise.all(clients.map((client) => client.end({ timeout: 0 })));
      await stop("immediate");
      fs.rmSync(root, { recursive: true, force: true });
    },
  };
}
