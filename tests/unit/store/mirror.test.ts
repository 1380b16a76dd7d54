import * as assert from "uvu/assert";
import { dataplaneType } from "../../../src/resources/dataplane.js";
import { registry } from "../../../src/resources/registry.js";
import { createMirror } from "../../../src/store/mirror.js";
import type { Change, Stored } from "../../../src/store/store.js";
import { versionOf } from "../../../src/store/version.js";
import { suite } from "../../support/suite.js";

const test = suite("the mirror of a store");

const stored = (name: string, mesh = "default", type = "Dataplane", version = 0): Stored => ({
  type,
  mesh,
  name,
  version: versionOf(version),
  spec: {},
});
const put = (sequence: number, resource: Stored): Change => ({ kind: "put", sequence, resource });
const names = (resources: readonly Stored[]) => resources.map(({ mesh, name }) => `${mesh}/${name}`);

test("lists by mesh and name, or in insertion order", () => {
  const [byName, byCreation] = [createMirror(registry, "name"), createMirror(registry, "creation")];
  for (const mirror of [byName, byCreation]) {
    for (const [index, [mesh, name]] of [
      ["b", "1"],
      ["a", "2"],
      ["b", "0"],
      ["a", "10"],
    ].entries()) {
      mirror.apply(put(index + 1, stored(name ?? "", mesh)));
    }
  }
  assert.equal(names(byName.list(dataplaneType)), ["a/10", "a/2", "b/0", "b/1"]);
  assert.equal(names(byName.list(dataplaneType, "b")), ["b/0", "b/1"]);
  assert.equal(names(byCreation.list(dataplaneType)), ["b/1", "a/2", "b/0", "a/10"]);
});

test("returns the same list until a resource of its type changes", () => {
  const mirror = createMirror(registry, "name");
  mirror.apply(put(1, stored("a")));
  const first = mirror.list(dataplaneType, "default");
  mirror.apply(put(2, stored("default", "default", "Mesh")));
  assert.is(mirror.list(dataplaneType, "default"), first);
  mirror.apply(put(3, stored("b")));
  assert.equal(names(mirror.list(dataplaneType, "default")), ["default/a", "default/b"]);
  mirror.apply({ kind: "delete", sequence: 4, key: stored("a") });
  assert.equal(names(mirror.list(dataplaneType, "default")), ["default/b"]);
  assert.is(mirror.sequence, 4);
});

test("a new listing replaces types in the feed, and keeps others", () => {
  const mirror = createMirror(registry, "name");
  mirror.apply(put(1, stored("a")));
  mirror.apply(put(1, stored("a", "default", "DataplaneInsight")));
  mirror.apply({ kind: "listing", sequence: 9, resources: [stored("b")] });
  assert.equal(names(mirror.list(dataplaneType)), ["default/b"]);
  assert.is(mirror.get(stored("a")), undefined);
  assert.ok(mirror.get(stored("a", "default", "DataplaneInsight")));
});

test("a later listing reaches watchers", async () => {
  const mirror = createMirror(registry, "name");
  const seen: string[] = [];
  const following = (async () => {
    for await (const change of mirror.changes(new AbortController().signal)) {
      seen.push(change.kind === "listing" ? `listing ${names(change.resources).join()}` : change.kind);
    }
  })();
  await new Promise((resolve) => setImmediate(resolve));
  mirror.apply(put(1, stored("a")));
  mirror.apply(put(1, stored("a", "default", "DataplaneInsight")));
  mirror.apply({ kind: "listing", sequence: 2, resources: [stored("b")] });
  await new Promise((resolve) => setImmediate(resolve));
  mirror.close();
  await following;
  assert.equal(seen, ["listing ", "put", "listing default/b"]);
});

test.run();
