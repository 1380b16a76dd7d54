import * as assert from "uvu/assert";
import { dataplaneType } from "../../../src/resources/dataplane.js";
import { registry } from "../../../src/resources/registry.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import { versionOf } from "../../../src/store/version.js";
import { suite } from "../../support/suite.js";

const test = suite("the memory store");

const dataplane = (name: string, spec: object = {}) => ({ type: "Dataplane", mesh: "default", name, spec });

test("lists are in the order of creation, and an update keeps the position", async () => {
  const store = createMemoryStore(registry);
  for (const name of ["c", "a", "b"]) await store.create(dataplane(name));
  await store.update(dataplane("c", { networking: {} }), versionOf(1));
  assert.equal(
    (await store.list(dataplaneType)).map(({ name }) => name),
    ["c", "a", "b"],
  );
});

test("versions start at 1 and increase by one; a recreated resource starts again", async () => {
  const store = createMemoryStore(registry);
  assert.is((await store.create(dataplane("a"))).version, 1);
  assert.is((await store.update(dataplane("a"), versionOf(1))).version, 2);
  await store.delete(dataplane("a"));
  assert.is((await store.create(dataplane("a"))).version, 1);
});

test("returned resources are deep-frozen", async () => {
  const store = createMemoryStore(registry);
  const spec = { networking: { inbound: [{ tags: { service: "a" } }] } };
  const stored = await store.create(dataplane("a", spec));
  const read = stored.spec as typeof spec;
  for (const part of [stored, read, read.networking, read.networking.inbound[0]?.tags]) {
    assert.ok(Object.isFrozen(part));
  }
  assert.not(Object.isFrozen(spec));
});

test("a slow watcher gets every change of a long burst", async () => {
  const store = createMemoryStore(registry);
  const abort = new AbortController();
  const iterator = store.changes(abort.signal)[Symbol.asyncIterator]();
  await iterator.next();
  const names = Array.from({ length: 5_000 }, (_, index) => `d-${index}`);
  for (const name of names) await store.create(dataplane(name));
  const seen: unknown[] = [];
  while (seen.length < names.length) {
    const { value } = await iterator.next();
    seen.push(value.kind === "put" ? value.resource.name : value);
  }
  assert.equal(seen, names);
  abort.abort();
  assert.is((await iterator.next()).done, true);
});

test.run();
