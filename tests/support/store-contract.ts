import * as assert from "uvu/assert";
import { dataplaneType } from "../../src/resources/dataplane.js";
import { dataplaneInsightType } from "../../src/resources/dataplane-insight.js";
import { meshType } from "../../src/resources/mesh.js";
import type { Resource } from "../../src/resources/resource.js";
import type { OpenedStore } from "../../src/store/kind.js";
import { type Change, type Key, type Store, StoreError } from "../../src/store/store.js";
import { type Version, versionOf } from "../../src/store/version.js";
import { suite } from "./suite.js";
import { typeNamed } from "./type-named.js";

const key = (type: string, mesh: string, name: string): Key => ({ type, mesh, name });
const mesh = (name: string): Resource => ({ ...key("Mesh", name, name), spec: {} });

/** A Dataplane whose service distinguishes one write from another. */
function dataplane(name: string, inMesh = "default", service = "web"): Resource {
  const inbound = [{ interface: "127.0.0.1:8000:80", tags: { service } }];
  return { ...key("Dataplane", inMesh, name), spec: { networking: { inbound } } };
}

const insight = (name: string, inMesh = "default"): Resource => ({
  ...key("DataplaneInsight", inMesh, name),
  spec: { subscriptions: [{ id: "0" }] },
});

/** The kind of error that the operation must fail with. */
async function refusal(work: Promise<unknown>): Promise<StoreError["kind"]> {
  try {
    await work;
  } catch (error) {
    if (error instanceof StoreError) return error.kind;
    throw error;
  }
  throw new Error("it was not refused");
}

/** Not a version of any store. */
const unknownVersion = versionOf("of another store");

const names = (resources: readonly Key[]) => resources.map(({ name }) => name).sort();

/** One line per change, with what it is about, independent of the store. */
function line(change: Change): string {
  switch (change.kind) {
    case "listing":
      return `listing ${names(change.resources).join()}`;
    case "put":
      return `put ${change.resource.type} ${change.resource.mesh}/${change.resource.name}`;
    case "delete":
      return `delete ${change.key.type} ${change.key.mesh}/${change.key.name}`;
  }
}

interface Feed {
  /** Waits for the next change and returns it. */
  next(): Promise<Change>;
  /** The lines of the next `count` changes. */
  lines(count: number): Promise<string[]>;
  /** Ends the feed. Resolves once the iteration has ended. */
  abort(): Promise<void>;
}

function follow(store: Store): Feed {
  const controller = new AbortController();
  const iterator = store.changes(controller.signal)[Symbol.asyncIterator]();
  async function next(): Promise<Change> {
    const { done, value } = await iterator.next();
    if (done) throw new Error("the feed has ended");
    return value;
  }
  return {
    next,
    async lines(count) {
      const found: string[] = [];
      while (found.length < count) found.push(line(await next()));
      return found;
    },
    async abort() {
      controller.abort();
      while (!(await iterator.next()).done);
    },
  };
}

/**
 * The contract that every store must fulfil, plus the optional parts that it offers. `open` returns an empty store,
 * which the contract closes.
 */
export function storeContract(
  name: string,
  open: () => Promise<OpenedStore>,
  { before, after, ...needs }: Parameters<typeof suite>[1] & { before?: () => unknown; after?: () => unknown } = {},
): void {
  const test = suite(`the store contract: ${name}`, needs);
  if (before !== undefined) test.before(before);
  if (after !== undefined) test.after(after);
  let opened: OpenedStore;
  let store: Store;
  const feeds: Feed[] = [];

  test.before.each(async () => {
    opened = await open();
    ({ store } = opened);
  });
  test.after.each(async () => {
    for (const feed of feeds.splice(0)) await feed.abort();
    await store.close();
  });

  const changes = () => {
    const feed = follow(store);
    feeds.push(feed);
    return feed;
  };

  test("what was created is read back as it was written", async () => {
    const resource = dataplane("a");
    const created = await store.create(resource);
    const { version, ...read } = (await store.get(resource)) ?? { version: undefined };
    assert.equal(read, resource);
    assert.is(version, created.version);
  });

  test("what was never created is absent, and that is no error", async () => {
    assert.is(await store.get(key("Dataplane", "default", "a")), undefined);
    assert.equal(await store.list(dataplaneType), []);
    assert.equal(await store.list(dataplaneType, "ghost"), []);
  });

  test("a resource is known by type, mesh and name together", async () => {
    await store.create(dataplane("a", "one", "first"));
    await store.create(dataplane("a", "two", "second"));
    await store.create(insight("a", "one"));
    await store.delete(key("Dataplane", "one", "a"));
    assert.is(await store.get(key("Dataplane", "one", "a")), undefined);
    assert.equal((await store.get(key("Dataplane", "two", "a")))?.spec, dataplane("a", "two", "second").spec);
    assert.equal((await store.get(key("DataplaneInsight", "one", "a")))?.spec, insight("a").spec);
  });

  test("a list has all resources of a type, or those of one mesh", async () => {
    for (const resource of [dataplane("a", "one"), dataplane("b", "one"), dataplane("c", "two"), insight("d", "one")]) {
      await store.create(resource);
    }
    assert.equal(names(await store.list(dataplaneType)), ["a", "b", "c"]);
    assert.equal(names(await store.list(dataplaneType, "one")), ["a", "b"]);
    assert.equal(names(await store.list(dataplaneInsightType, "two")), []);
  });

  test("a resource that is there cannot be created again, and stays as it was", async () => {
    await store.create(dataplane("a", "default", "first"));
    assert.is(await refusal(store.create(dataplane("a", "default", "second"))), "already-exists");
    assert.equal((await store.get(dataplane("a")))?.spec, dataplane("a", "default", "first").spec);
  });

  test("an update gives another version and replaces the whole spec", async () => {
    const created = await store.create(dataplane("a"));
    const updated = await store.update({ ...dataplane("a"), spec: { networking: {} } }, created.version);
    assert.is.not(updated.version, created.version);
    assert.equal(await store.get(dataplane("a")), updated);
    assert.equal(updated.spec, { networking: {} });
  });

  test("an update of a version that was written over meanwhile is a conflict", async () => {
    const { version } = await store.create(dataplane("a"));
    await store.update(dataplane("a", "default", "first"), version);
    assert.is(await refusal(store.update(dataplane("a", "default", "late"), version)), "conflict");
    assert.is(await refusal(store.update(dataplane("a", "default", "early"), unknownVersion)), "conflict");
    assert.equal((await store.get(dataplane("a")))?.spec, dataplane("a", "default", "first").spec);
  });

  test("an update of what is gone, or never was, is a conflict and makes nothing", async () => {
    const { version } = await store.create(dataplane("a"));
    await store.delete(dataplane("a"));
    assert.is(await refusal(store.update(dataplane("a"), version)), "conflict");
    assert.is(await refusal(store.update(dataplane("b"), version)), "conflict");
    assert.equal(await store.list(dataplaneType), []);
  });

  test("of many updates at once that began with the same version, one wins", async () => {
    const { version } = await store.create(dataplane("a"));
    const services = Array.from({ length: 20 }, (_, index) => `s${index}`);
    const outcomes = await Promise.allSettled(
      services.map((service) => store.update(dataplane("a", "default", service), version)),
    );
    const winners = services.filter((_, index) => outcomes[index]?.status === "fulfilled");
    assert.is(winners.length, 1);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") assert.is((outcome.reason as StoreError).kind, "conflict");
    }
    assert.equal((await store.get(dataplane("a")))?.spec, dataplane("a", "default", winners[0]).spec);
  });

  test("of many creations of one resource at once, one wins", async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => store.create(dataplane("a"))));
    assert.is(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") assert.is((outcome.reason as StoreError).kind, "already-exists");
    }
  });

  test("deleting what is not there is refused, the second time, too", async () => {
    await store.create(dataplane("a"));
    await store.delete(dataplane("a"));
    assert.is(await refusal(store.delete(dataplane("a"))), "not-found");
    assert.is(await refusal(store.delete(dataplane("never"))), "not-found");
  });

  test("a refusal names the resource", async () => {
    try {
      await store.delete(key("Dataplane", "default", "absent-1"));
      assert.unreachable();
    } catch (error) {
      assert.match((error as Error).message, /Dataplane.*absent-1.*default/);
    }
  });

  test("a caller who changes what it wrote, or what it read, does not change what is stored", async () => {
    const inbound = { interface: "127.0.0.1:8000:80", tags: { service: "web" } };
    await store.create({ ...key("Dataplane", "default", "a"), spec: { networking: { inbound: [inbound] } } });
    inbound.tags.service = "changed";
    assert.equal((await store.get(dataplane("a")))?.spec, dataplane("a").spec);
    const read = (await store.get(dataplane("a")))?.spec as { networking: { inbound: unknown[] } };
    try {
      read.networking.inbound.pop();
    } catch (error) {
      // A store may return frozen values; then the attempt itself fails.
      assert.instance(error, TypeError);
    }
    assert.equal((await store.get(dataplane("a")))?.spec, dataplane("a").spec);
  });

  test("deleting a mesh takes everything of every type in it, and nothing of another", async () => {
    for (const resource of [mesh("one"), dataplane("a", "one"), insight("a", "one")]) await store.create(resource);
    for (const resource of [mesh("two"), dataplane("a", "two")]) await store.create(resource);
    await store.deleteMesh("one");
    for (const type of ["Mesh", "Dataplane", "DataplaneInsight"].map(typeNamed))
      assert.equal(await store.list(type, "one"), []);
    assert.equal(names(await store.list(meshType)), ["two"]);
    assert.equal(names(await store.list(dataplaneType)), ["a"]);
  });

  test("deleting a mesh clears leftovers whose mesh record is gone, and is no error when nothing is left", async () => {
    await store.create(dataplane("a", "one"));
    await store.deleteMesh("one");
    assert.equal(await store.list(dataplaneType), []);
    await store.deleteMesh("one");
  });

  test("what belongs to no mesh outlives every mesh, and can't be deleted as one", async () => {
    const secret = { ...key("Secret", "", "key"), spec: { value: "MQ==" } };
    await store.create(secret);
    for (const resource of [mesh("one"), dataplane("a", "one")]) await store.create(resource);
    await store.deleteMesh("one");
    let refused = false;
    await store.deleteMesh("").catch(() => {
      refused = true;
    });
    assert.ok(refused);
    assert.equal((await store.get(secret))?.spec, secret.spec);
  });

  test("several resources are read in one go, of any types; absent ones are left out", async () => {
    for (const resource of [dataplane("a"), insight("a"), dataplane("b")]) await store.create(resource);
    const read = await store.getAll([dataplane("b"), dataplane("c"), insight("a"), insight("b")]);
    assert.equal(
      read.map(({ type, name, spec }) => ({ type, name, spec })).sort((a, b) => (a.type < b.type ? -1 : 1)),
      [dataplane("b"), insight("a")].map(({ type, name, spec }) => ({ type, name, spec })),
    );
    assert.equal(await store.getAll([]), []);
  });

  test("several writes in one go stand and fall each by itself, and answer in their order", async () => {
    const { version } = await store.create(insight("a"));
    await store.create(dataplane("b"));
    const next = (name: string) => ({ ...insight(name), spec: { subscriptions: [{ id: `next of ${name}` }] } });
    const outcomes = await store.writeAll([
      { resource: next("c"), version: undefined },
      { resource: next("a"), version },
      { resource: dataplane("b", "default", "late"), version: undefined },
      { resource: next("d"), version },
      { resource: dataplane("b", "default", "foreign"), version: unknownVersion },
    ]);
    const kinds = outcomes.map((outcome) => (outcome instanceof StoreError ? outcome.kind : outcome.name));
    assert.equal(kinds, ["c", "a", "already-exists", "conflict", "conflict"]);
    for (const name of ["a", "c"]) assert.equal((await store.get(insight(name)))?.spec, next(name).spec);
    assert.equal((await store.get(dataplane("b")))?.spec, dataplane("b").spec);
    assert.is(await store.get(insight("d")), undefined);
    const again = await store.writeAll([{ resource: next("a"), version }]);
    assert.is((again[0] as StoreError).kind, "conflict");
    assert.equal(await store.writeAll([]), []);
  });

  test("the feed begins with everything that is there", async () => {
    assert.equal(await changes().lines(1), ["listing "]);
    for (const resource of [mesh("default"), dataplane("a"), dataplane("b")]) await store.create(resource);
    await store.delete(dataplane("b"));
    const listing = await changes().next();
    assert.ok(listing.kind === "listing");
    assert.equal(names(listing.resources), ["a", "default"]);
    for (const resource of listing.resources) assert.equal(resource, await store.get(resource));
  });

  test("after the listing come writes and deletions in their order, with their versions", async () => {
    const feed = changes();
    const listing = await feed.next();
    const created = await store.create(dataplane("a"));
    const first = await feed.next();
    const updated = await store.update(dataplane("a", "default", "other"), created.version);
    const second = await feed.next();
    await store.delete(dataplane("a"));
    const third = await feed.next();
    assert.ok(first?.kind === "put" && second?.kind === "put" && third?.kind === "delete");
    assert.equal([first.resource, second.resource], [created, updated]);
    assert.equal(third.key, key("Dataplane", "default", "a"));
    const sequences = [listing, first, second, third].map(({ sequence }) => sequence);
    assert.equal(
      sequences,
      [...new Set(sequences)].sort((a, b) => a - b),
    );
  });

  test("what is written between the listing and the first look after it is not lost", async () => {
    await store.create(dataplane("a"));
    const feed = changes();
    const first = feed.next();
    const write = store.create(dataplane("b"));
    const seen = new Set<string>();
    const note = (change: Change) => {
      if (change.kind === "listing") for (const { name } of change.resources) seen.add(name);
      else if (change.kind === "put") seen.add(change.resource.name);
    };
    note(await first);
    await write;
    while (!seen.has("b")) note(await feed.next());
    assert.equal([...seen].sort(), ["a", "b"]);
  });

  test("a mesh is announced as gone before what was in it", async () => {
    for (const resource of [dataplane("a", "one"), mesh("one"), dataplane("b", "one")]) await store.create(resource);
    const feed = changes();
    await feed.next();
    await store.deleteMesh("one");
    const [own, ...rest] = await feed.lines(3);
    assert.is(own, "delete Mesh one/one");
    assert.equal(rest.sort(), ["delete Dataplane one/a", "delete Dataplane one/b"]);
  });

  test("types that no proxy depends on are neither listed nor announced", async () => {
    const { version } = await store.create(insight("a"));
    const feed = changes();
    assert.equal(await feed.lines(1), ["listing "]);
    await store.update({ ...insight("a"), spec: { subscriptions: [{ id: "1" }] } }, version);
    await store.delete(insight("a"));
    await store.create(dataplane("a"));
    assert.equal(await feed.lines(1), ["put Dataplane default/a"]);
  });

  test("a write that was refused is not announced", async () => {
    await store.create(dataplane("a"));
    const feed = changes();
    await feed.next();
    await refusal(store.create(dataplane("a")));
    await refusal(store.update(dataplane("a"), unknownVersion));
    await refusal(store.delete(dataplane("b")));
    await store.create(dataplane("c"));
    assert.equal(await feed.lines(1), ["put Dataplane default/c"]);
  });

  test("many writers at once leave no gap: who follows ends up with what is stored", async () => {
    const feed = changes();
    const known = new Map<string, unknown>();
    const versions = new Map<string, Version>();
    const apply = (change: Change) => {
      if (change.kind === "listing") {
        known.clear();
        for (const resource of change.resources) known.set(resource.name, resource.spec);
      } else if (change.kind === "delete") known.delete(change.key.name);
      else {
        const { name, version, spec } = change.resource;
        known.set(name, spec);
        versions.set(name, version);
      }
    };
    apply(await feed.next());
    const write = async (name: string) => {
      let { version } = await store.create(dataplane(name));
      for (let round = 0; round < 5; round++) {
        ({ version } = await store.update(dataplane(name, "default", `s${round}`), version));
      }
      if (name.endsWith("0")) await store.delete(dataplane(name));
    };
    const writers = Array.from({ length: 40 }, (_, index) => write(`w-${index}`));
    await Promise.all(writers);
    await store.create(dataplane("last"));
    while (!known.has("last")) apply(await feed.next());
    const stored = await store.list(dataplaneType);
    assert.is(stored.length, 37);
    assert.equal(
      [...known].sort(([a], [b]) => (a < b ? -1 : 1)),
      stored.map(({ name, spec }) => [name, spec] as const).sort(([a], [b]) => (a < b ? -1 : 1)),
    );
    for (const { name, version } of stored) assert.is(versions.get(name), version);
  });

  test("a write that is only tried leaves nothing, and nobody hears of it", async () => {
    const feed = changes();
    await feed.lines(1);
    for (let round = 0; round < 3; round++) await store.tryWrite();
    await Promise.all([store.tryWrite(), store.tryWrite(), store.create(dataplane("a"))]);
    assert.equal(await feed.lines(1), ["put Dataplane default/a"]);
    assert.equal(await store.list({ ...dataplaneType, name: "WriteTest" }), []);
    await store.create(dataplane("b"));
    assert.equal(await feed.lines(1), ["put Dataplane default/b"]);
  });

  test("the control plane that opened it is known to run, and leads while it is alone", async () => {
    const { own, running } = opened.instances;
    assert.equal(await running(), new Set([own]));
    assert.is(await opened.leadership.leads(), true);
  });

  test("two who follow see the same changes, and one who stops does not stop the other", async () => {
    const [one, two] = [changes(), changes()];
    assert.equal(await one.lines(1), await two.lines(1));
    await store.create(dataplane("a"));
    assert.equal(await one.lines(1), await two.lines(1));
    await one.abort();
    await store.create(dataplane("b"));
    assert.equal(await two.lines(1), ["put Dataplane default/b"]);
  });

  test("an abort ends the iteration, waiting or not, before its start or in the middle", async () => {
    const waiting = new AbortController();
    const seen: string[] = [];
    for await (const change of store.changes(waiting.signal)) {
      seen.push(line(change));
      if (change.kind === "put") waiting.abort();
      else {
        await store.create(dataplane("a"));
        await store.create(dataplane("b"));
      }
    }
    assert.equal(seen, ["listing ", "put Dataplane default/a"]);

    const idle = new AbortController();
    const iterator = store.changes(idle.signal)[Symbol.asyncIterator]();
    await iterator.next();
    const pending = iterator.next();
    idle.abort();
    assert.is((await pending).done, true);

    const before = AbortSignal.abort();
    for await (const change of store.changes(before)) assert.is(change.kind, "listing");
  });

  test.run();
}
