// The PostgreSQL store against raw SQL on the same kind of connection: from a write to its notification, and writes a second.
import postgres, { type Sql } from "postgres";
import { createLogger } from "../../src/lib/logger.js";
import { registry } from "../../src/resources/registry.js";
import { openPostgresStore } from "../../src/store/postgres/open.js";
import type { Stored } from "../../src/store/store.js";
import { type Address, startPostgres } from "../support/postgres.js";

const rounds = 25;
/** The first rounds warm both up and are not counted. */
const warmUp = 5;
const writesPerRound = 60;
const writers = 8;
const writesPerWriter = 40;
const connections = 10;

const tags = { service: "backend", version: "2.0", env: "production" };
const inbound = [{ interface: "192.168.0.1:11011:11012", tags }];
const outbound = [
  { interface: ":33033", service: "database" },
  { interface: ":44044", service: "user" },
];
/** About the size of a real one; the counter makes each writing another. */
const spec = (count: number) => ({
  networking: { inbound, outbound: [...outbound, { interface: ":1", service: `s-${count}` }] },
});

interface Subject {
  /** Writes the resource of a number once more; resolves when it is stored. */
  write(number: number): Promise<void>;
  /** Resolves when the next change of the resource has been heard of and read. */
  heard(number: number): Promise<void>;
  close(): Promise<void>;
}

/** Who waits for which change. */
function createEars() {
  const waiting = new Map<string, () => void>();
  return {
    hear: (name: string) => waiting.get(name)?.(),
    wait: (name: string) =>
      new Promise<void>((resolve) => {
        waiting.set(name, () => {
          waiting.delete(name);
          resolve();
        });
      }),
  };
}

const nameOf = (number: number) => `proxy-${number}`;

async function openOurs(address: Address): Promise<Subject> {
  const { store } = await openPostgresStore({
    postgres: {
      ...address,
      connectTimeoutMs: 5_000,
      statementTimeoutMs: 10_000,
      maxConnections: connections,
      tls: { mode: "disable" },
    },
    registry,
    logger: createLogger({ name: "bench", level: "off" }),
    instanceId: crypto.randomUUID(),
    migrate: true,
    pollingIntervalMs: 1_000,
  });
  const ears = createEars();
  const versions: Stored[] = [];
  for (let number = 0; number < writers; number++) {
    versions.push(await store.create({ type: "Dataplane", mesh: "default", name: nameOf(number), spec: spec(0) }));
  }
  const ending = new AbortController();
  const following = (async () => {
    for await (const change of store.changes(ending.signal)) if (change.kind === "put") ears.hear(change.resource.name);
  })();
  let count = 0;
  return {
    async write(number) {
      const { type, mesh, name, version } = versions[number] as Stored;
      versions[number] = await store.update({ type, mesh, name, spec: spec(count++) }, version);
    },
    heard: (number) => ears.wait(nameOf(number)),
    async close() {
      ending.abort();
      await following;
      await store.close();
    },
  };
}

/** The same by hand: an optimistic update that announces itself, a listener, and a look at the row. */
async function openRaw({ database, ...address }: Address): Promise<Subject> {
  const options = { ...address, database, fetch_types: false, onnotice: () => {} };
  const sql: Sql = postgres({ ...options, max: connections });
  await sql`CREATE TABLE raw (name varchar(100), namespace varchar(100), mesh varchar(100), type varchar(100),
    version integer NOT NULL, spec text, PRIMARY KEY (name, namespace, mesh, type))`;
  const ears = createEars();
  for (let number = 0; number < writers; number++) {
    await sql`INSERT INTO raw VALUES (${nameOf(number)}, 'default', 'default', 'Dataplane', 0, ${JSON.stringify(spec(0))})`;
  }
  const versions = Array.from({ length: writers }, () => 0);
  const { unlisten } = await sql.listen("raw", async (name) => {
    const [row] = await sql<{ spec: string }[]>`
      SELECT version, spec FROM raw WHERE name = ${name} AND mesh = 'default' AND type = 'Dataplane'`;
    JSON.parse(row?.spec ?? "");
    ears.hear(name);
  });
  let count = 0;
  return {
    async write(number) {
      const name = nameOf(number);
      const [row] = await sql<{ version: number }[]>`
        WITH written AS (
          UPDATE raw SET version = version + 1, spec = ${JSON.stringify(spec(count++))}
          WHERE name = ${name} AND mesh = 'default' AND type = 'Dataplane' AND version = ${versions[number] ?? 0}
          RETURNING version
        )
        SELECT version, pg_notify('raw', ${name}) FROM written`;
      if (row === undefined) throw new Error("the update lost");
      versions[number] = row.version;
    },
    heard: (number) => ears.wait(nameOf(number)),
    async close() {
      await unlisten();
      await sql.end();
    },
  };
}

function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * fraction)] ?? Number.NaN;
}

/** Milliseconds from the call to the change at a follower, in the median of some. */
async function latency(subject: Subject): Promise<number> {
  const times: number[] = [];
  for (let index = 0; index < writesPerRound; index++) {
    const number = index % writers;
    const start = performance.now();
    const heard = subject.heard(number);
    await Promise.all([subject.write(number), heard.then(() => times.push(performance.now() - start))]);
  }
  return quantile(times, 0.5);
}

/** Milliseconds for each write of several writers at once, who wait for nothing but their own write. */
async function throughput(subject: Subject): Promise<number> {
  const start = performance.now();
  const work = async (number: number) => {
    for (let index = 0; index < writesPerWriter; index++) await subject.write(number);
  };
  await Promise.all(Array.from({ length: writers }, (_, number) => work(number)));
  return (performance.now() - start) / (writers * writesPerWriter);
}

const kinds = { "write to notification": latency, "writes at once": throughput } as const;
type Kind = keyof typeof kinds;
const names = Object.keys(kinds) as Kind[];
const target = 1.5;

// PostgreSQL as it is by default: what is answered is on the disk.
const server = await startPostgres({});
const ours = await openOurs(await server.createDatabase());
const raw = await openRaw(await server.createDatabase());
const times: Record<Kind, { ours: number[]; raw: number[] }> = {
  "write to notification": { ours: [], raw: [] },
  "writes at once": { ours: [], raw: [] },
};
for (let round = 0; round < rounds + warmUp; round++) {
  for (const kind of names) {
    // Whoever comes second would always find what the first one left to write out.
    const order = round % 2 === 0 ? (["ours", "raw"] as const) : (["raw", "ours"] as const);
    for (const who of order) {
      const time = await kinds[kind](who === "ours" ? ours : raw);
      if (round >= warmUp) times[kind][who].push(time);
    }
  }
}
await ours.close();
await raw.close();
await server.close();

const digits = (value: number, count: number) => Number(value.toFixed(count));
const ratios: Record<string, number> = {};
const details: Record<string, unknown> = {};
for (const kind of names) {
  const { ours, raw } = times[kind];
  const each = ours.map((value, round) => value / (raw[round] ?? Number.NaN));
  const [mine, bare] = [quantile(ours, 0.5), quantile(raw, 0.5)];
  ratios[kind] = digits(quantile(each, 0.5), 2);
  details[kind] = {
    target,
    oursMs: digits(mine, 4),
    rawMs: digits(bare, 4),
    ratioP10: digits(quantile(each, 0.1), 2),
    ratioP90: digits(quantile(each, 0.9), 2),
    ...(kind === "writes at once"
      ? { oursPerSecond: Math.round(1000 / mine), rawPerSecond: Math.round(1000 / bare) }
      : {}),
  };
  console.log(
    `${kind.padEnd(22)} ${mine.toFixed(3)} ms, raw SQL ${bare.toFixed(3)} ms: ${ratios[kind]} ` +
      `(p10 ${digits(quantile(each, 0.1), 2)}, p90 ${digits(quantile(each, 0.9), 2)}), target ${target}`,
  );
}
console.log(
  JSON.stringify({ bench: "store", ratios, details: { rounds, writesPerRound, writers, writesPerWriter, ...details } }),
);
