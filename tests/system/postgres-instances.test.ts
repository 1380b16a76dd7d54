import * as assert from "uvu/assert";
import type { OpenOptions } from "../../src/store/postgres/open.js";
import { eventually } from "../support/eventually.js";
import { type Address, type PostgresServer, startPostgres } from "../support/postgres.js";
import { closeStores, openStore, type TestStore } from "../support/postgres-stores.js";
import { suite } from "../support/suite.js";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.js";

const test = suite("control planes on one database know of each other", { needs: "postgres" });

let server: PostgresServer;
let address: Address;
const proxies: TcpProxy[] = [];

test.before(async () => {
  server = await startPostgres();
});
test.before.each(async () => {
  address = await server.createDatabase();
});
test.after.each(async () => {
  for (const proxy of proxies) proxy.silent = false;
  await closeStores();
  for (const proxy of proxies.splice(0)) await proxy.close();
});
test.after(() => server.close());

const short: Partial<OpenOptions> = {
  timing: { beatMs: 200, deadMs: 2_000, retainedMs: 3_600_000, retainedChanges: 1_000, cleanUpMs: 3_600_000 },
};

interface Watched extends TestStore {
  readonly dead: string[][];
  readonly returns: () => number;
}

async function watched(of: Address = address): Promise<Watched> {
  const opened = await openStore(of, { ...short, postgres: { statementTimeoutMs: 1_000, connectTimeoutMs: 1_000 } });
  const dead: string[][] = [];
  let returns = 0;
  opened.instances.observe({
    died: (ids) => void dead.push([...ids]),
    returned: () => {
      returns += 1;
    },
  });
  return { ...opened, dead, returns: () => returns };
}

async function cutOff(): Promise<{ proxy: TcpProxy; store: Watched }> {
  const proxy = await startTcpProxy(server.port);
  proxies.push(proxy);
  return { proxy, store: await watched({ ...address, port: proxy.port }) };
}

test("those that run are known, and one that ended in order is not missed", async () => {
  const [a, b] = [await watched(), await watched()];
  assert.equal(await a.instances.running(), new Set([a.id, b.id]));
  await b.store.close();
  assert.equal(await a.instances.running(), new Set([a.id]));
  await eventually("a looks around once, and finds nobody missing", () => a.dead.length > 0);
  assert.equal(a.dead.flat(), []);
});

test("one without a sign of life is reported until it is buried; when it comes back it hears of that", async () => {
  const a = await watched();
  const { proxy, store: b } = await cutOff();
  proxy.silent = true;
  await eventually("it is missed", () => a.dead.flat().includes(b.id));
  const before = a.dead.length;
  await eventually("and still, as nobody cared for it", () => a.dead.length > before + 2);
  assert.equal(await a.instances.running(), new Set([a.id]));
  await a.instances.forget([b.id]);
  const after = a.dead.flat().length;
  assert.is(b.returns(), 0);
  proxy.silent = false;
  await eventually("it notices that it was taken for dead", () => b.returns() === 1);
  assert.equal(await a.instances.running(), new Set([a.id, b.id]));
  assert.ok(a.dead.flat().length - after <= 1);
});

test("the one that runs for the longest leads, and the next one when it ends or dies", async () => {
  const { proxy, store: a } = await cutOff();
  const [b, c] = [await watched(), await watched()];
  const leaders = async (...all: readonly Watched[]) => {
    const leading = await Promise.all(all.map(({ leadership }) => leadership.leads()));
    return all.filter((_, index) => leading[index]).map(({ id }) => id);
  };
  assert.equal(await leaders(a, b, c), [a.id]);
  proxy.silent = true;
  await eventually("another one leads", async () => (await leaders(b, c)).join() === b.id);
  await b.store.close();
  assert.equal(await leaders(c), [c.id]);
  proxy.silent = false;
  await eventually("the first one is back", async () => (await leaders(a, c)).join() === a.id);
});

test("a living one is not buried, whoever asks for it", async () => {
  const [a, b] = [await watched(), await watched()];
  await a.instances.forget([b.id]);
  assert.equal(await a.instances.running(), new Set([a.id, b.id]));
});

test("who was cut off itself takes nobody for dead before it has listened for a while", async () => {
  const { proxy: first, store: a } = await cutOff();
  const { proxy: both, store: b } = await cutOff();
  await eventually("both have looked around once", () => a.dead.length > 0 && b.dead.length > 0);
  first.silent = true;
  both.silent = true;
  await eventually("both count as dead by the clock of the database", async () => {
    const rows = await server.superuser(address.database)`
      SELECT id FROM control_plane_instances WHERE seen_at < now() - interval '3 seconds'`;
    return rows.length === 2;
  });
  first.silent = false;
  await eventually("the first is back", () => a.store.available);
  // It has seen how old the other's last sign is, and knows that its own was as old.
  assert.equal(a.dead.flat(), []);
  await eventually("it takes the other for dead after it has listened in vain", () => a.dead.flat().includes(b.id));
});

test.run();
