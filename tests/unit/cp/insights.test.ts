import * as assert from "uvu/assert";
import { keptSubscriptions, mergeSubscriptions } from "../../../src/cp/insights/merge.js";
import { registry } from "../../../src/resources/registry.js";
import { type Stored, StoreError } from "../../../src/store/store.js";
import { versionOf } from "../../../src/store/version.js";
import { eventually } from "../../support/eventually.js";
import { suite } from "../../support/suite.js";
import { at, recording } from "./recording.js";

const test = suite("an insight");

const stream = { id: "s-1", mesh: "default", name: "a", at: at(1) };

test("is written as the product documentation shows it", async () => {
  const { recorder, insight } = await recording();
  recorder.opened(stream);
  for (const kind of ["cds", "eds", "lds"] as const) {
    recorder.sent("s-1", kind, at(2));
    recorder.acknowledged("s-1", kind, at(3));
  }
  await recorder.flush();
  const one = { responsesSent: "1", responsesAcknowledged: "1" };
  assert.equal(await insight(), {
    subscriptions: [
      {
        id: "s-1",
        controlPlaneInstanceId: "cp-1",
        connectTime: "2019-10-24T14:04:01.820Z",
        status: {
          lastUpdateTime: "2019-10-24T14:04:03.820Z",
          total: { responsesSent: "3", responsesAcknowledged: "3" },
          cds: one,
          eds: one,
          lds: one,
          rds: {},
        },
      },
    ],
  });
  await recorder.close();
});

test("is read back by the schema as it was written", async () => {
  const { recorder, insight } = await recording();
  recorder.opened({ ...stream, at: new Date(Date.UTC(2020, 0, 1)) });
  recorder.rejected("s-1", "lds", at(2), "no such filter");
  recorder.closed("s-1", at(4));
  await recorder.close();
  const spec = await insight();
  const type = registry.byName("DataplaneInsight");
  assert.equal(type?.schema.read(spec, { mode: "strict", path: [], unknown: [] }), spec);
  assert.is(spec?.subscriptions?.[0]?.connectTime, "2020-01-01T00:00:00Z");
});

test("is collected for an interval, and no timer runs while nothing happens", async () => {
  let writes = 0;
  const { recorder, insight } = await recording({
    flushIntervalMs: 20,
    store: (inner) => ({
      ...inner,
      writeAll(all) {
        writes += all.length;
        return inner.writeAll(all);
      },
    }),
  });
  recorder.opened(stream);
  for (let i = 0; i < 100; i++) recorder.sent("s-1", "eds", at(2));
  await eventually("the insight is there", async () => (await insight()) !== undefined);
  assert.is(writes, 1);
  assert.is((await insight())?.subscriptions?.[0]?.status?.total?.responsesSent, "100");
});

test("counts secrets in the total only", async () => {
  const { recorder, insight } = await recording();
  recorder.opened(stream);
  recorder.sent("s-1", "sds", at(2));
  await recorder.flush();
  const status = (await insight())?.subscriptions?.[0]?.status;
  assert.equal([status?.total, status?.cds], [{ responsesSent: "1" }, {}]);
});

test("gets the disconnect time, written before the control plane exits", async () => {
  const { recorder, insight } = await recording();
  recorder.opened(stream);
  recorder.closed("s-1", at(9));
  recorder.sent("s-1", "eds", at(10));
  await recorder.close();
  const [subscription] = (await insight())?.subscriptions ?? [];
  assert.is(subscription?.disconnectTime, "2019-10-24T14:04:09.820Z");
  assert.is(subscription?.status?.lastUpdateTime, undefined);
});

test("has one open subscription for each open stream, and ends only the one whose stream ended", async () => {
  const { recorder, insight } = await recording();
  const times = async () => (await insight())?.subscriptions?.map(({ id, disconnectTime }) => [id, disconnectTime]);
  recorder.opened(stream);
  await recorder.flush();
  recorder.opened({ ...stream, id: "s-2", at: at(5) });
  await recorder.flush();
  assert.equal(await times(), [
    ["s-1", undefined],
    ["s-2", undefined],
  ]);
  recorder.closed("s-2", at(6));
  await recorder.flush();
  assert.equal(await times(), [
    ["s-1", undefined],
    ["s-2", "2019-10-24T14:04:06.820Z"],
  ]);
  assert.equal(recorder.openSince({ mesh: "default", name: "a" }), [at(1)]);
  recorder.closed("s-1", at(7));
  assert.equal(recorder.openSince({ mesh: "default", name: "a" }), []);
});

test("shows a proxy online whatever other streams of its name open, stay and close", async () => {
  const { recorder, insight } = await recording();
  const ids = Array.from({ length: 40 }, (_, i) => `other-${i}`);
  const open = async () => (await insight())?.subscriptions?.filter((one) => one.disconnectTime === undefined) ?? [];
  recorder.opened(stream);
  await recorder.flush();
  for (const id of ids) {
    recorder.opened({ ...stream, id, at: at(5) });
    await recorder.flush();
  }
  assert.is((await open()).length, keptSubscriptions, "what is written has a bound");
  assert.ok((await open()).some(({ id }) => id === "s-1"));
  for (const id of ids) recorder.closed(id, at(6));
  await recorder.flush();
  assert.equal(
    (await open()).map(({ id }) => id),
    ["s-1"],
  );
  recorder.closed("s-1", at(7));
  await recorder.flush();
  assert.equal(await open(), [], "and offline once the last one has ended");
  await recorder.close();
});

test("keeps a limited number of ended streams while the store is not writable, and no ended one as open", async () => {
  let away = true;
  let written = 0;
  const { recorder, insight } = await recording({
    store: (inner) => ({
      ...inner,
      writeAll(all) {
        if (away) return Promise.reject(new StoreError("unavailable", { ...stream, type: "DataplaneInsight" }));
        for (const { resource } of all) written = (resource.spec as { subscriptions: unknown[] }).subscriptions.length;
        return inner.writeAll(all);
      },
    }),
  });
  away = false;
  for (let i = 0; i < 12; i++) recorder.opened({ ...stream, id: `first-${i}` });
  await recorder.flush();
  away = true;
  for (let i = 0; i < 12; i++) recorder.closed(`first-${i}`, at(3));
  for (let i = 0; i < 500; i++) {
    recorder.opened({ ...stream, id: `later-${i}` });
    recorder.closed(`later-${i}`, at(4));
  }
  await recorder.flush();
  away = false;
  await recorder.flush();
  assert.is(written, keptSubscriptions);
  const states = (await insight())?.subscriptions?.map(({ disconnectTime }) => disconnectTime !== undefined) ?? [];
  assert.equal(states, Array(keptSubscriptions).fill(true));
});

test("keeps the streams of one instance, whatever the number of another's", () => {
  const open = (id: string, controlPlaneInstanceId: string) => ({ id, controlPlaneInstanceId, connectTime: "x" });
  const context = { now: at(7), own: "cp-1", live: () => true, silent: () => false };
  const many = Array.from({ length: 30 }, (_, i) => open(`b-${i}`, "cp-b"));
  const merged = mergeSubscriptions([open("a", "cp-a")], many, context);
  assert.is(merged.length, 1 + keptSubscriptions);
  assert.is(merged[0]?.id, "a");
  const ended = merged.map((one) => (one.id === "a" ? one : { ...one, disconnectTime: "y" }));
  const after = mergeSubscriptions(ended, [], context);
  assert.equal(
    after.filter(({ disconnectTime }) => disconnectTime === undefined).map(({ id }) => id),
    ["a"],
  );
});

test("closes the streams of a crashed control plane, and not those of a live one", () => {
  const open = (id: string, controlPlaneInstanceId: string) => ({ id, controlPlaneInstanceId, connectTime: "x" });
  const stored = [open("1", "cp-crashed"), open("2", "cp-alive"), open("3", "cp-me"), open("4", "cp-me")];
  const context = {
    now: at(7),
    own: "cp-me",
    live: ({ id }: { id?: string }) => id === "4" || id === "5",
    silent: (id: string) => id !== "cp-alive",
  };
  const closed = (subscriptions: readonly { id?: string; disconnectTime?: string }[]) =>
    subscriptions.filter(({ disconnectTime }) => disconnectTime !== undefined).map(({ id }) => id);
  assert.equal(closed(mergeSubscriptions(stored, [open("5", "cp-me")], context)), ["1", "3"]);
  assert.equal(closed(mergeSubscriptions(stored, [open("4", "cp-me")], context)), ["3"]);
});

test("keeps ten subscriptions: the oldest closed ones are removed first, then open ones between the oldest and the newest", () => {
  const context = { now: at(7), own: "cp-1", live: () => true, silent: () => false };
  const many = Array.from({ length: 14 }, (_, i) => ({ id: `${i}`, ...(i < 2 ? {} : { disconnectTime: "x" }) }));
  const kept = mergeSubscriptions(many, [], context).map(({ id }) => id);
  assert.equal(kept, ["0", "1", "6", "7", "8", "9", "10", "11", "12", "13"]);
  const open = Array.from({ length: 12 }, (_, i) => ({ id: `${i}` }));
  assert.equal(
    mergeSubscriptions(open, [], context).map(({ id }) => id),
    ["0", "3", "4", "5", "6", "7", "8", "9", "10", "11"],
  );
});

test("is not stored for a missing Dataplane, until it exists", async () => {
  const { recorder, insight, store } = await recording();
  recorder.opened({ ...stream, name: "later" });
  await recorder.flush();
  assert.is(await insight("later"), undefined);
  await store.create({ type: "Dataplane", mesh: "default", name: "later", spec: {} });
  recorder.sent("s-1", "cds", at(3));
  await recorder.flush();
  assert.is((await insight("later"))?.subscriptions?.[0]?.status?.total?.responsesSent, "1");
});

test("is deleted with a Dataplane that is deleted during the write", async () => {
  const { recorder, insight } = await recording({
    store: (inner) => ({
      ...inner,
      async writeAll(all) {
        for (const { resource } of all) await inner.delete({ ...resource, type: "Dataplane" });
        return inner.writeAll(all);
      },
    }),
  });
  recorder.opened(stream);
  await recorder.flush();
  assert.is(await insight(), undefined);
});

test("is written again after a lost race, which affects no other proxy's record, and after a failure", async () => {
  let races = 2;
  let failures = 1;
  const { recorder, insight } = await recording({
    flushIntervalMs: 5,
    store: (inner) => ({
      ...inner,
      async writeAll(all) {
        if (races === 0 && failures > 0) {
          failures -= 1;
          throw new Error("away");
        }
        const beaten = races > 0 ? all.find(({ resource }) => resource.name === "a") : undefined;
        if (beaten !== undefined) races -= 1;
        const outcomes = [...(await inner.writeAll(all.filter((write) => write !== beaten)))];
        return all.map((write) =>
          write === beaten ? new StoreError("conflict", write.resource) : (outcomes.shift() as Stored),
        );
      },
    }),
  });
  recorder.opened(stream);
  recorder.opened({ ...stream, id: "s-9", name: "b" });
  await recorder.flush();
  assert.is((await insight("b"))?.subscriptions?.length, 1);
  assert.is(await insight("a"), undefined);
  await eventually("the insight is there", async () => (await insight("a")) !== undefined);
  assert.equal([races, failures], [0, 0]);
  await recorder.close();
});

test("closes the streams of a dead instance when the proxy connects to us, and not those of a live one", async () => {
  const { recorder, insight, store } = await recording();
  const open = (id: string, controlPlaneInstanceId: string) => ({ id, controlPlaneInstanceId });
  const subscriptions = [open("1", "cp-crashed"), open("2", "cp-alive")];
  await store.create({ type: "DataplaneInsight", mesh: "default", name: "a", spec: { subscriptions } });
  recorder.opened(stream);
  await recorder.flush();
  const ended = (await insight())?.subscriptions?.map(({ id, disconnectTime }) => [id, disconnectTime !== undefined]);
  assert.equal(ended, [
    ["1", true],
    ["2", false],
    ["s-1", false],
  ]);
});

test("costs the store a limited number of writes per interval, and every one is written eventually", async () => {
  const rounds: string[][] = [];
  const { recorder, store } = await recording({
    mostPerInterval: 2,
    store: (inner) => ({
      ...inner,
      writeAll(all) {
        rounds.push(all.map(({ resource }) => resource.name));
        return inner.writeAll(all);
      },
    }),
  });
  for (const name of ["c", "d", "e"]) await store.create({ type: "Dataplane", mesh: "default", name, spec: {} });
  for (const name of ["a", "b", "c", "d", "e"]) recorder.opened({ ...stream, id: `s-${name}`, name });
  await recorder.flush();
  recorder.sent("s-a", "cds", at(2));
  await recorder.flush();
  await recorder.flush();
  assert.equal(rounds, [
    ["a", "b"],
    ["c", "d"],
    ["e", "a"],
  ]);
  for (const name of ["a", "b", "c", "d", "e"]) recorder.sent(`s-${name}`, "cds", at(3));
  await recorder.close();
  assert.is(rounds.slice(3).flat().length, 5, "the last flush leaves nobody out");
});

test("is written again after others considered this instance dead", async () => {
  const { recorder, insight, store } = await recording();
  recorder.opened(stream);
  await recorder.flush();
  const key = { type: "DataplaneInsight", mesh: "default", name: "a" };
  const stored = await store.get(key);
  const [subscription] = (await insight())?.subscriptions ?? [];
  const closed = [{ ...subscription, disconnectTime: "2019-10-24T14:04:30Z" }];
  await store.update({ ...key, spec: { subscriptions: closed } }, stored?.version ?? versionOf(0));
  recorder.rewrite();
  await recorder.flush();
  assert.is((await insight())?.subscriptions?.[0]?.disconnectTime, undefined);
});

test.run();
