import * as assert from "uvu/assert";
import { startViewFeed } from "../../../src/feed/feed.js";
import { createLogger } from "../../../src/lib/logger.js";
import type { Change, Stored } from "../../../src/store/store.js";
import { versionOf } from "../../../src/store/version.js";
import { eventually } from "../../support/eventually.js";
import { suite } from "../../support/suite.js";

const test = suite("the view follows the store's change feed");

const mesh = (name: string, version: number): Stored => ({
  type: "Mesh",
  mesh: name,
  name,
  version: versionOf(version),
  spec: {},
});
const listing = (...resources: Stored[]): Change => ({ kind: "listing", sequence: 0, resources });

/** A feed with the changes of each opening; an opening that fails throws after its changes. */
async function open(openings: readonly (() => Generator<Change>)[]) {
  const lines: string[] = [];
  let opened = 0;
  let failures = 0;
  let returned = 0;
  async function* changes(signal: AbortSignal) {
    const given = openings[opened++];
    try {
      if (given !== undefined) yield* given();
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    } finally {
      returned += 1;
    }
  }
  const feed = await startViewFeed({
    changes,
    failed: () => void failures++,
    logger: createLogger({ name: "test", level: "info", write: (line) => void lines.push(line) }),
    coalesceMaxMs: 1,
    retryMs: { first: 1, max: 5 },
  });
  return { feed, lines, opened: () => opened, failures: () => failures, returned: () => returned };
}

test("a feed that fails is listed again, and resources missing from the listing are removed", async () => {
  const { feed, lines, failures } = await open([
    function* () {
      yield listing(mesh("a", 1), mesh("b", 1));
      throw new Error("lost");
    },
    function* () {
      yield listing(mesh("b", 2), mesh("c", 1));
    },
  ]);
  const heard: string[] = [];
  feed.listen((name) => heard.push(name));
  await eventually("the second listing is there", () => feed.view().has("c"));
  assert.equal([...feed.view().keys()].sort(), ["b", "c"]);
  assert.equal(feed.current(), true);
  assert.equal(failures(), 1);
  await eventually("whoever listens hears of what came and of what went", () => heard.includes("a"));
  assert.ok(heard.includes("c"));
  assert.match(lines.join(""), /the change feed failed.*lost/s);
  assert.match(lines.join(""), /the change feed was listed again/);
  feed.close();
});

test("a change that can't be applied is also a failure, and its feed is closed", async () => {
  const { feed, failures, returned } = await open([
    function* () {
      yield listing(mesh("a", 1));
      const resource = { ...mesh("a", 2) };
      // A possible bug of a store: a resource that can't be read.
      Object.defineProperty(resource, "mesh", { get: () => assert.unreachable("no mesh") });
      yield { kind: "put", sequence: 1, resource };
    },
    function* () {
      yield listing(mesh("a", 3));
    },
  ]);
  await eventually("it is listed again", () => feed.view().get("a")?.resource?.version === versionOf(3));
  assert.equal(failures(), 1);
  assert.equal(returned(), 1);
  feed.close();
});

test("until the next listing the view stays unchanged and is known to be stale", async () => {
  let broken = true;
  const later = function* (): Generator<Change> {
    if (broken) throw new Error("still lost");
    yield listing(mesh("a", 2));
  };
  const { feed, failures } = await open([
    function* () {
      yield listing(mesh("a", 1));
      throw new Error("lost");
    },
    ...Array.from({ length: 10_000 }, () => later),
  ]);
  await eventually("it was tried several times", () => failures() > 3);
  assert.is(feed.current(), false);
  assert.is(feed.view().get("a")?.resource?.version, versionOf(1));
  broken = false;
  await eventually("it is listed", () => feed.current());
  assert.is(feed.view().get("a")?.resource?.version, versionOf(2));
  feed.close();
});

test("a feed that ends without being closed is a failure", async () => {
  let opened = 0;
  const feed = await startViewFeed({
    async *changes() {
      opened += 1;
      yield listing(mesh("a", opened));
      if (opened > 1) await new Promise(() => {});
    },
    logger: createLogger({ name: "test", level: "off", write: () => {} }),
    coalesceMaxMs: 1,
    retryMs: { first: 1, max: 5 },
  });
  await eventually("it is opened again", () => feed.view().get("a")?.resource?.version === versionOf(2));
  feed.close();
});

test("closing ends the feed and does not open another", async () => {
  const { feed, opened, returned, failures } = await open([
    function* () {
      yield listing(mesh("a", 1));
    },
  ]);
  feed.close();
  await eventually("the feed ended", () => returned() === 1);
  assert.equal(opened(), 1);
  assert.equal(failures(), 0);
});

test.run();
