import * as assert from "uvu/assert";
import { createPresence } from "../../../src/cp/insights/presence.js";
import { registry } from "../../../src/resources/registry.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import { suite } from "../../support/suite.js";

const test = suite("whether a proxy is connected to any control plane");

const proxy = { mesh: "default", name: "a" };
const key = { type: "DataplaneInsight", ...proxy };
const instances = { own: "cp-1", running: async () => new Set(["cp-1", "cp-2"]) };
const time = (second: number) => `2026-01-01T10:00:0${second}Z`;
const open = (controlPlaneInstanceId: string, second: number) => ({
  id: `${controlPlaneInstanceId}-${second}`,
  controlPlaneInstanceId,
  connectTime: time(second),
});

/** The result for these recorded subscriptions, and for others after the wait. */
async function since(recorded: readonly object[], here: readonly Date[] = [], later = recorded) {
  const store = createMemoryStore(registry);
  const created = await store.create({ ...key, spec: { subscriptions: recorded } });
  let reads = 0;
  const presence = createPresence({
    store: {
      async get(asked) {
        reads += 1;
        if (reads === 2) await store.update({ ...key, spec: { subscriptions: later } }, created.version);
        return store.get(asked);
      },
    },
    instances,
    openSince: () => here,
    lagMs: 1,
  });
  return (await presence.connectedSince(proxy))?.toISOString();
}

test("an open stream here is enough, and our own records don't matter", async () => {
  assert.is(await since([], [new Date(time(1)), new Date(time(2))]), new Date(time(1)).toISOString());
  assert.is(await since([open("cp-1", 3)]), undefined, "a record of a stream that ended here is only late");
});

test("the oldest open stream with another instance counts while that instance is alive", async () => {
  assert.is(await since([open("cp-2", 5), open("cp-2", 4)]), new Date(time(4)).toISOString());
  assert.is(await since([open("cp-gone", 4)]), undefined);
  assert.is(await since([{ ...open("cp-2", 4), disconnectTime: time(5) }]), undefined);
});

test("a restarted kuma-dp gets no warning about its own stream with another instance that has just ended", async () => {
  assert.is(await since([open("cp-2", 4)], [], [{ ...open("cp-2", 4), disconnectTime: time(5) }]), undefined);
});

test.run();
