import * as assert from "uvu/assert";
import { dataplaneType } from "../../src/resources/dataplane.js";
import type { OpenOptions } from "../../src/store/postgres/open.js";
import { StoreError } from "../../src/store/store.js";
import { versionOf } from "../../src/store/version.js";
import { eventually } from "../support/eventually.js";
import { type Address, type PostgresServer, startPostgres } from "../support/postgres.js";
import { closeStores, dataplane, type Follower, follow, openStore } from "../support/postgres-stores.js";
import { runSeed, seeded } from "../support/random.js";
import { suite } from "../support/suite.js";
import { startTcpProxy, type TcpProxy, withoutNotifications } from "../support/tcp-proxy.js";

const test = suite("the change feed of the PostgreSQL store", { needs: "postgres" });

let server: PostgresServer;
let address: Address;
const followers: Follower[] = [];
const proxies: TcpProxy[] = [];

test.before(async () => {
  server = await startPostgres();
});
test.before.each(async () => {
  address = await server.createDatabase();
});
test.after.each(async () => {
  for (const follower of followers.splice(0)) await follower.stop();
  await closeStores();
  for (const proxy of proxies.splice(0)) await proxy.close();
});
test.after(() => server.close());

const following = (...args: Parameters<typeof follow>) => {
  const follower = follow(...args);
  followers.push(follower);
  return follower;
};

async function proxied(filter?: Parameters<typeof startTcpProxy>[1]): Promise<{ proxy: TcpProxy; through: Address }> {
  const proxy = await startTcpProxy(server.port, filter);
  proxies.push(proxy);
  return { proxy, through: { ...address, port: proxy.port } };
}

/** The rows that the table holds now, in the words of a follower. */
async function stored(): Promise<ReadonlyMap<string, string>> {
  const rows = await server.superuser(address.database)<{ key: string; version: number; spec: string }[]>`
    SELECT type || ' ' || mesh || '/' || name AS key, version, spec FROM resources WHERE type <> 'DataplaneInsight'`;
  return new Map(rows.map(({ key, version, spec }) => [key, `${version} ${JSON.stringify(JSON.parse(spec))}`]));
}

const sorted = (map: ReadonlyMap<string, string>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

async function complete(what: string, followed: readonly Follower[], deadlineMs?: number): Promise<void> {
  const expected = sorted(await stored());
  await eventually(
    what,
    () => followed.every(({ known }) => JSON.stringify(sorted(known)) === JSON.stringify(expected)),
    deadlineMs,
  );
}

const short: Partial<OpenOptions> = {
  timing: { beatMs: 100, deadMs: 1_000, retainedMs: 3_600_000, retainedChanges: 1_000, cleanUpMs: 3_600_000 },
};

test("a write of one instance reaches another at once", async () => {
  const [a, b] = [await openStore(address), await openStore(address)];
  const follower = following(b.store);
  await eventually("the listing is there", () => follower.listings() === 1);
  const { version } = await a.store.create(dataplane("x"));
  await complete("the creation arrives", [follower], 1_000);
  await a.store.update(dataplane("x", "other"), version);
  await complete("the update arrives", [follower], 1_000);
  await a.store.delete(dataplane("x"));
  await complete("the deletion arrives", [follower], 1_000);
  assert.is(follower.listings(), 1);
});

test("a read sees an earlier write of another instance, without waiting for the notification", async () => {
  const [a, b] = [await openStore(address), await openStore(address)];
  for (let round = 0; round < 50; round++) {
    const { version } = await a.store.create(dataplane(`r-${round}`));
    assert.is((await b.store.get(dataplane(`r-${round}`)))?.version, version);
    assert.is((await b.store.list(dataplaneType)).length, round + 1);
  }
});

test("a transaction that took its sequence number but is not committed yet is not missed", async () => {
  const { store } = await openStore(address, { postgres: { statementTimeoutMs: 10_000 } });
  const follower = following(store);
  const sql = server.superuser(address.database);
  const slow = await sql.reserve();
  await slow`BEGIN`;
  await slow`
    INSERT INTO resources (name, namespace, mesh, type, version, spec)
    VALUES ('slow', 'default', 'default', 'Dataplane', 0, '{}')`;
  const [taken] = await slow<{ sequence: string }[]>`SELECT max(sequence) AS sequence FROM resource_changes`;
  const fast = store.create(dataplane("fast"));
  const waits = await Promise.race([
    fast.then(() => "done"),
    new Promise((resolve) => setTimeout(resolve, 300, "waits")),
  ]);
  assert.is(waits, "waits", "a later number must not become visible first");
  assert.is(await store.get(dataplane("slow")), undefined);
  await slow`COMMIT`;
  slow.release();
  await fast;
  await complete("both arrive", [follower]);
  const numbers = follower.changes.flatMap((change) =>
    change.kind === "put" ? [[change.resource.name, change.sequence] as const] : [],
  );
  assert.equal(
    numbers.map(([name]) => name),
    ["slow", "fast"],
  );
  assert.is(numbers[0]?.[1], Number(taken?.sequence));
});

test("a transaction that took its sequence number and is rolled back leaves nothing behind", async () => {
  const { store } = await openStore(address);
  const follower = following(store);
  const sql = server.superuser(address.database);
  await sql
    .begin(async (transaction) => {
      await transaction`
        INSERT INTO resources (name, namespace, mesh, type, version, spec)
        VALUES ('undone', 'default', 'default', 'Dataplane', 0, '{}')`;
      throw new Error("changed my mind");
    })
    .catch(() => {});
  await store.create(dataplane("kept"));
  await complete("only the other arrives", [follower]);
  assert.equal([...follower.known.keys()], ["Dataplane default/kept"]);
});

test("what is written by hand is heard of: inserted, updated, renamed, deleted, emptied", async () => {
  const { store } = await openStore(address);
  const follower = following(store);
  const sql = server.superuser(address.database);
  await sql`
    INSERT INTO resources (name, namespace, mesh, type, version, spec)
    SELECT 'by-hand-' || n, 'default', 'default', 'Dataplane', 7, '{}' FROM generate_series(1, 500) n`;
  await complete("the rows arrive", [follower]);
  await sql`UPDATE resources SET spec = '{"networking":{}}', version = version + 1 WHERE name LIKE '%7'`;
  await complete("the updates arrive", [follower]);
  await sql`UPDATE resources SET name = 'new-' || name WHERE name LIKE '%3'`;
  await complete("the new names arrive, and the old ones go", [follower]);
  await sql`DELETE FROM resources WHERE name LIKE '%1'`;
  await complete("the deletions arrive", [follower]);
  assert.is(follower.listings(), 1);
  await sql`TRUNCATE resources`;
  await complete("nothing is left", [follower]);
  await sql`TRUNCATE resource_changes`;
  await store.create(dataplane("after"));
  await complete("an emptied table of changes stops nothing", [follower]);
});

test("a write that has to give way to somebody's transaction, lest both wait for ever, is made again", async () => {
  const { store } = await openStore(address, { postgres: { statementTimeoutMs: 10_000 } });
  const sql = server.superuser(address.database);
  for (const name of ["x", "y"]) await store.create(dataplane(name));
  const theirs = await sql.reserve();
  await theirs`BEGIN`;
  // Their transaction should win: ours checks for a deadlock first.
  await theirs`SET LOCAL deadlock_timeout = '30s'`;
  await theirs`UPDATE resources SET version = version + 1 WHERE name = 'x'`;
  const ours = store.update(dataplane("y", "ours"), versionOf(0));
  await eventually("ours waits for the number that theirs has", async () => {
    const [row] = await sql`
      SELECT count(*)::int AS count FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`;
    return row?.count === 1;
  });
  await theirs`UPDATE resources SET spec = '{"networking":{}}' WHERE name = 'y'`;
  await theirs`COMMIT`;
  theirs.release();
  assert.is((await ours).version, 1);
  assert.equal((await store.get(dataplane("y")))?.spec, dataplane("y", "ours").spec);
});

test("insights stay out of the feed, and out of the table of changes", async () => {
  const { store } = await openStore(address);
  await store.create({ ...dataplane("a"), type: "DataplaneInsight", spec: { subscriptions: [{ id: "1" }] } });
  const [row] = await server.superuser(
    address.database,
  )`SELECT count(*)::int AS count FROM resource_changes WHERE type <> ''`;
  assert.is(row?.count, 0);
});

test("announcements name type, mesh, name and version only, however large the resource is", async () => {
  const { store } = await openStore(address);
  const sql = server.superuser(address.database);
  const heard: string[] = [];
  await sql.listen("kuma_changes", (payload) => void heard.push(payload));
  const resource = {
    type: "ProxyTemplate",
    mesh: "default",
    name: "n".repeat(100),
    spec: { imports: ["x".repeat(100_000)] },
  };
  await store.create(resource);
  const [payload = ""] = await eventually("it is announced", () => (heard.length > 0 ? heard : undefined));
  const { sequence, ...rest } = JSON.parse(payload) as Record<string, unknown>;
  assert.equal(rest, { type: "ProxyTemplate", mesh: "default", name: "n".repeat(100), version: 0 });
  assert.type(sequence, "number");
});

test("who was away catches up by number, and reads everything anew when that is not kept any more", async () => {
  const { proxy, through } = await proxied();
  const away = await openStore(through, short);
  const there = await openStore(address, short);
  const follower = following(away.store);
  await there.store.create(dataplane("before"));
  await complete("it is up to date", [follower]);

  proxy.closed = true;
  proxy.cut();
  for (let index = 0; index < 20; index++) await there.store.create(dataplane(`while-away-${index}`));
  await there.store.delete(dataplane("before"));
  proxy.closed = false;
  await complete("it has caught up", [follower]);
  assert.is(follower.listings(), 1, "by number, not by a new listing");

  proxy.closed = true;
  proxy.cut();
  for (let index = 0; index < 20; index++) await there.store.delete(dataplane(`while-away-${index}`));
  await there.store.create(dataplane("late"));
  await server.superuser(address.database)`
    DELETE FROM resource_changes WHERE sequence < (SELECT max(sequence) FROM resource_changes) - 3`;
  proxy.closed = false;
  await complete("it has read everything", [follower]);
  assert.is(follower.listings(), 2);
});

test("a database that was set back to an older state is noticed, although its numbers fit", async () => {
  const { proxy, through } = await proxied();
  const { store } = await openStore(through, short);
  const follower = following(store);
  for (const name of ["a", "b", "c"]) await store.create(dataplane(name));
  await complete("it is up to date", [follower]);
  proxy.closed = true;
  proxy.cut();
  const sql = server.superuser(address.database);
  await sql`DELETE FROM resources WHERE name = 'c'`;
  await sql`DELETE FROM resource_changes WHERE sequence > (SELECT max(sequence) FROM resource_changes) - 2`;
  await sql.unsafe(`
    SELECT setval(pg_get_serial_sequence('resource_changes', 'sequence'), (SELECT max(sequence) FROM resource_changes))`);
  await sql`INSERT INTO resources VALUES ('d', 'default', 'default', 'Dataplane', 0, '{}')`;
  proxy.closed = false;
  await complete("it has read everything", [follower]);
  assert.is(follower.listings(), 2);
});

test("old changes are deleted, by age and by number; a reader who is up to date loses nothing", async () => {
  const timing = { ...short.timing, cleanUpMs: 50, retainedChanges: 10 };
  const { store } = await openStore(address, { timing });
  const follower = following(store);
  for (let index = 0; index < 40; index++) await store.create(dataplane(`d-${index}`));
  const sql = server.superuser(address.database);
  const count = async () => (await sql`SELECT count(*)::int AS count FROM resource_changes`)[0]?.count as number;
  await eventually("the surplus is gone", async () => (await count()) <= 11);
  await closeStores();
  const aged = await openStore(address, { timing: { ...timing, retainedMs: 1 } });
  const second = following(aged.store);
  await eventually("all but the newest are gone", async () => (await count()) === 1);
  await aged.store.delete(dataplane("d-1"));
  await complete("changes go on", [second]);
  assert.is(second.listings(), 1);
  assert.is(follower.listings(), 1);
});

test("where announcements do not get through, changes are polled for, and that is said", async () => {
  const { through } = await proxied(withoutNotifications);
  const [a, b] = [await openStore(through), await openStore(address)];
  assert.match(a.log(), /\tWARN\t.*notifications of changes do not arrive .*KUMA_DISCOVERY_UNIVERSAL_POLLING_INTERVAL/);
  assert.not.match(b.log(), /announcements/);
  const follower = following(a.store);
  for (let index = 0; index < 20; index++) await b.store.create(dataplane(`d-${index}`));
  await complete("they arrive all the same", [follower]);
  await b.store.delete(dataplane("d-1"));
  await complete("and so does a deletion", [follower]);
});

test("a connection that went deaf without ending is noticed and made anew", async () => {
  let made = 0;
  let deaf = 0;
  const { through } = await proxied(() => {
    const number = made++;
    const drop = withoutNotifications();
    return (chunk) => (number < deaf ? drop(chunk) : chunk);
  });
  const [a, b] = [await openStore(through, short), await openStore(address)];
  const follower = following(a.store);
  await eventually("the listing is there", () => follower.listings() === 1);
  deaf = made;
  await b.store.create(dataplane("unheard"));
  await complete("it is found when the connection is checked", [follower]);
  assert.not.match(a.log(), /announcements/);
});

test("rows that nobody can use are reported and skipped, never deleted; what was known before stays", async () => {
  const sql = server.superuser(address.database);
  await openStore(address);
  await closeStores();
  const insert = (name: string, spec: string | null, type = "Dataplane", mesh = "default") => sql`
    INSERT INTO resources (name, namespace, mesh, type, version, spec)
    VALUES (${name}, 'default', ${mesh}, ${type}, 0, ${spec})`;
  await insert("good", "{}");
  await insert("no-json", "{broken");
  await insert("wrong-type", '{"networking": 7}');
  await insert("empty", null);
  await insert("list", "[]");
  await insert("from-a-newer-kuma", '{"x": 1}', "TrafficTrace");
  await insert("m", "{}", "Mesh", "other");
  const opened = await openStore(address);
  const follower = following(opened.store);
  await eventually("the listing is there", () => follower.listings() === 1);
  assert.equal([...follower.known.keys()], ["Dataplane default/good"]);
  for (const name of ["no-json", "wrong-type", "empty", "list", "m"]) assert.match(opened.log(), name);
  assert.match(opened.log(), /does not know.*TrafficTrace/);
  assert.not.match(opened.log(), /skipped.*from-a-newer-kuma/);

  await sql`UPDATE resources SET spec = 'garbage', version = 1 WHERE name = 'good'`;
  await eventually("it is reported", () => /"good".*"version":1/.test(opened.log()));
  assert.ok(follower.known.has("Dataplane default/good"));
  await sql`UPDATE resources SET spec = '{"networking":{}}', version = 2 WHERE name IN ('good', 'no-json')`;
  await eventually("both can be used", () => follower.known.get("Dataplane default/no-json")?.startsWith("2 "));
  assert.match(follower.known.get("Dataplane default/good") ?? "", /^2 /);
  const [row] = await sql`SELECT count(*)::int AS count FROM resources`;
  assert.is(row?.count, 7);
});

test("a table of Kuma 0.3 is taken over, whatever its rows have for a namespace", async () => {
  const sql = server.superuser(address.database);
  await sql.unsafe(`
    SET ROLE kuma;
    CREATE TABLE resources (name varchar(100) NOT NULL, namespace varchar(100) NOT NULL, mesh varchar(100) NOT NULL,
      type varchar(100) NOT NULL, version integer NOT NULL, spec text, PRIMARY KEY (name, namespace, mesh, type));
    INSERT INTO resources VALUES ('default', '', 'default', 'Mesh', 3, '{"mtls":{"ca":{"builtin":{}}}}');
    INSERT INTO resources VALUES ('d', 'default', 'default', 'Dataplane', 5, '{"networking":{"inbound":[]}}');
    RESET ROLE`);
  const { store } = await openStore(address);
  assert.is((await store.get({ type: "Mesh", mesh: "default", name: "default" }))?.version, 3);
  assert.equal((await store.get(dataplane("d")))?.spec, { networking: {} });
  const key = { type: "Mesh", mesh: "default", name: "default" };
  assert.is((await store.update({ ...key, spec: {} }, versionOf(3))).version, 4);
  assert.is(await store.create({ ...key, spec: {} }).catch((error: StoreError) => error.kind), "already-exists");
  const [row] = await sql`SELECT count(*)::int AS count FROM resources WHERE type = 'Mesh'`;
  assert.is(row?.count, 1);
});

test("every view is complete after half a minute of cut connections and restless writers", async () => {
  const random = seeded(runSeed);
  const { proxy, through } = await proxied();
  const stores = await Promise.all([0, 1, 2].map(() => openStore(through, short)));
  const followed = stores.flatMap(({ store }) => [following(store), following(store)]);
  const until = performance.now() + 30_000;
  let writes = 0;
  let refused = 0;

  async function writer(index: number): Promise<void> {
    const { store } = random.pick(stores);
    const mesh = `m-${index % 3}`;
    for (let round = 0; performance.now() < until; round++) {
      const resource = dataplane(`w-${index % 4}-${random.below(6)}`, `s-${index}-${round}`, mesh);
      try {
        const present = await store.get(resource);
        if (present === undefined) await store.create(resource);
        else if (random.chance(0.25)) await store.delete(resource);
        else if (random.chance(0.02)) await store.deleteMesh(mesh);
        else await store.update(resource, present.version);
        writes += 1;
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        if (error.kind === "unavailable") {
          refused += 1;
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      }
    }
  }

  async function cutter(): Promise<void> {
    while (performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, random.below(150)));
      if (random.chance(0.05)) proxy.closed = true;
      proxy.cut(() => random.chance(0.3));
      if (random.chance(0.5)) proxy.closed = false;
    }
    proxy.closed = false;
  }

  await Promise.all([cutter(), ...Array.from({ length: 8 }, (_, index) => writer(index))]);
  assert.ok(writes > 500 && refused > 10, `${writes} writes, ${refused} refused`);
  await complete(`all have the same picture (seed ${runSeed}, ${writes} writes, ${refused} refused)`, followed, 15_000);
});

test.run();
