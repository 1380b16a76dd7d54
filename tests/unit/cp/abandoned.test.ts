import * as assert from "uvu/assert";
import { closeAbandoned, startAbandonedCleanup } from "../../../src/cp/insights/abandoned.js";
import { collectOffline, startCollector } from "../../../src/cp/insights/collector.js";
import { dataplaneType } from "../../../src/resources/dataplane.js";
import type { DataplaneInsight } from "../../../src/resources/dataplane-insight.js";
import { registry } from "../../../src/resources/registry.js";
import { aloneOnStore, type InstanceObserver } from "../../../src/store/instances.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import { type Store, StoreError } from "../../../src/store/store.js";
import { versionOf } from "../../../src/store/version.js";
import { eventually } from "../../support/eventually.js";
import { suite } from "../../support/suite.js";
import { typeNamed } from "../../support/type-named.js";
import { silent } from "./stage.js";

const test = suite("leftovers of control planes and dataplanes");

const now = () => new Date("2020-01-01T12:00:00Z");
const instances = { ...aloneOnStore("cp-1"), running: async () => new Set(["cp-1", "cp-2"]) };

const isOpenHere = () => false;

type Subscription = NonNullable<DataplaneInsight["subscriptions"]>[number];
const open = (id: string, controlPlaneInstanceId: string): Subscription => ({ id, controlPlaneInstanceId });
const closed = (id: string, disconnectTime: string): Subscription => ({ ...open(id, "cp-1"), disconnectTime });

async function storeWith(insights: Record<string, readonly Subscription[]>): Promise<Store> {
  const store = createMemoryStore(registry);
  for (const [name, subscriptions] of Object.entries(insights)) {
    await store.create({ type: "Dataplane", mesh: "default", name, spec: {} });
    await store.create({ type: "DataplaneInsight", mesh: "default", name, spec: { subscriptions, mTLS: {} } });
  }
  return store;
}

const insightOf = async (store: Store, name: string) =>
  (await store.get({ type: "DataplaneInsight", mesh: "default", name }))?.spec as DataplaneInsight | undefined;

test("streams of dead control planes are closed, those of live ones are not", async () => {
  const store = await storeWith({
    a: [open("1", "cp-1"), open("2", "cp-gone")],
    b: [open("3", "cp-2")],
    c: [closed("4", "2019-01-01T00:00:00Z"), open("5", "cp-gone"), { id: "6" }],
  });
  assert.is(await closeAbandoned({ store, instances, now }), 2);
  const times = async (name: string) => (await insightOf(store, name))?.subscriptions?.map((s) => s.disconnectTime);
  assert.equal(await times("a"), [undefined, "2020-01-01T12:00:00Z"]);
  assert.equal(await times("b"), [undefined]);
  assert.equal(await times("c"), ["2019-01-01T00:00:00Z", "2020-01-01T12:00:00Z", "2020-01-01T12:00:00Z"]);
  assert.equal((await insightOf(store, "a"))?.mTLS, {}, "what else stands there stays");
  assert.is(await closeAbandoned({ store, instances, now }), 0);
});

test("an insight that was written concurrently is checked again", async () => {
  const store = await storeWith({ a: [open("1", "cp-gone")] });
  let beaten = false;
  const racing: Store = {
    ...store,
    async writeAll(writes) {
      const [write] = writes;
      if (beaten || write === undefined) return store.writeAll(writes);
      beaten = true;
      const stored = await store.get(write.resource);
      const subscriptions = [open("1", "cp-gone"), open("2", "cp-gone")];
      await store.update({ ...write.resource, spec: { subscriptions } }, stored?.version ?? versionOf(0));
      return [new StoreError("conflict", write.resource)];
    },
  };
  assert.is(await closeAbandoned({ store: racing, instances, now }), 1);
  assert.ok((await insightOf(store, "a"))?.subscriptions?.every(({ disconnectTime }) => disconnectTime !== undefined));
});

test("dead instances are removed once their streams are closed, not before", async () => {
  const store = await storeWith({ a: [open("1", "cp-gone")] });
  const forgotten: string[] = [];
  let observer: InstanceObserver | undefined;
  let away = true;
  let rewritten = 0;
  startAbandonedCleanup({
    store: {
      ...store,
      list: (type, mesh) => (away ? Promise.reject(new Error("away")) : store.list(type, mesh)),
    },
    instances: {
      ...instances,
      forget: async (ids) => void forgotten.push(...ids),
      observe: (given) => {
        observer = given;
      },
    },
    logger: silent,
    rewrite: () => {
      rewritten += 1;
    },
    now,
  });
  observer?.died(["cp-gone"]);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(forgotten, []);
  away = false;
  await eventually("it is forgotten at the next chance", () => {
    observer?.died(["cp-gone"]);
    return forgotten.length > 0;
  });
  assert.is((await insightOf(store, "a"))?.subscriptions?.[0]?.disconnectTime, "2020-01-01T12:00:00Z");
  observer?.returned();
  assert.is(rewritten, 1);
});

test("dataplanes that disconnected long ago are deleted with their insights; others are kept", async () => {
  const store = await storeWith({
    "long-gone": [closed("1", "2020-01-01T10:00:00Z"), closed("2", "2020-01-01T10:59:59Z")],
    "just-gone": [closed("3", "2020-01-01T10:00:00Z"), closed("4", "2020-01-01T11:30:00Z")],
    there: [closed("5", "2020-01-01T10:00:00Z"), open("6", "cp-1")],
    "never-came": [],
  });
  await store.create({ type: "Dataplane", mesh: "default", name: "without-insight", spec: {} });
  await collectOffline({ store, ageMs: 3_600_000, isOpenHere, logger: silent, now });
  const names = async (type: string) => (await store.list(typeNamed(type))).map(({ name }) => name).sort();
  assert.equal(await names("Dataplane"), ["just-gone", "never-came", "there", "without-insight"]);
  assert.equal(await names("DataplaneInsight"), ["just-gone", "never-came", "there"]);
});

test("a dataplane that reconnects while the list is read is not deleted", async () => {
  const store = await storeWith({ a: [closed("1", "2019-01-01T00:00:00Z")] });
  const racing: Store = {
    ...store,
    async list(type, mesh) {
      const insights = await store.list(type, mesh);
      const [insight] = insights;
      if (insight !== undefined) {
        await store.update({ ...insight, spec: { subscriptions: [open("2", "cp-1")] } }, insight.version);
      }
      return insights;
    },
  };
  await collectOffline({ store: racing, ageMs: 1_000, isOpenHere, logger: silent, now });
  assert.is((await store.list(dataplaneType)).length, 1);
});

test("a dataplane with an open stream is not deleted, whatever its insight says, nor one whose stream opens at the last moment", async () => {
  const store = await storeWith({
    a: [closed("1", "2019-01-01T00:00:00Z")],
    b: [closed("2", "2019-01-01T00:00:00Z")],
    c: [closed("3", "2019-01-01T00:00:00Z")],
  });
  const open = new Set(["a"]);
  const racing: Store = {
    ...store,
    async get(key) {
      const found = await store.get(key);
      if (key.name === "b") open.add("b");
      return found;
    },
  };
  const options = { store: racing, ageMs: 1_000, logger: silent, now };
  await collectOffline({ ...options, isOpenHere: ({ mesh, name }) => mesh === "default" && open.has(name) });
  assert.equal((await store.list(dataplaneType)).map(({ name }) => name).sort(), ["a", "b"]);
});

test("only the leader of the control planes that share a store deletes dataplanes", async () => {
  const store = await storeWith({ a: [closed("1", "2019-01-01T00:00:00Z")] });
  let [leading, asked] = [false, 0];
  const leadership = {
    leads: async () => {
      asked += 1;
      return leading;
    },
  };
  const collector = startCollector({ store, leadership, ageMs: 1_000, isOpenHere, logger: silent, now });
  try {
    await eventually("it asks each time", () => asked >= 2);
    assert.is((await store.list(dataplaneType)).length, 1);
    leading = true;
    await eventually("it deletes", async () => (await store.list(dataplaneType)).length === 0);
  } finally {
    collector.close();
  }
});

test.run();
