import * as assert from "uvu/assert";
import { addressKey, createWaitingRoom } from "../../../src/net/waiting-room.js";
import { seeded } from "../../support/random.js";
import { suite } from "../../support/suite.js";

const test = suite("connections that have not proved themselves");

function open({ perAddress = 2, inside = 3, most = 100 } = {}) {
  const entered: string[] = [];
  const evicted: string[] = [];
  const delays: boolean[] = [];
  const room = createWaitingRoom<string>({
    perAddress,
    inside,
    most,
    evict: (name) => void evicted.push(name),
    delayed: (byAddress) => void delays.push(byAddress),
    enter: (name) => void entered.push(name),
  });
  /** Connections are named by their address and a number. */
  function come(...names: string[]): void {
    for (const name of names) {
      room.add(name, name.slice(0, 1));
      room.spoke(name);
    }
  }
  return { room, come, entered, evicted, delays };
}

test("are admitted at once while the limits of their address and of all allow, and wait otherwise", () => {
  const { room, come, entered, delays } = open();
  come("a1", "a2", "a3", "b1", "b2");
  assert.equal(entered, ["a1", "a2", "b1"]);
  assert.equal(delays, [true, false]);
  room.leave("a1");
  assert.equal(entered, ["a1", "a2", "b1", "b2"]);
  room.leave("b1");
  assert.equal(entered.slice(4), ["a3"]);
});

test("take turns among their addresses", () => {
  const { room, come, entered } = open({ perAddress: 5, inside: 1 });
  come("a1", "a2", "a3", "b1", "c1");
  for (const name of ["a1", "a2", "b1", "c1"]) room.leave(name);
  assert.equal(entered, ["a1", "a2", "b1", "c1", "a3"]);
});

test("are silent until their first bytes", () => {
  const { room, entered } = open();
  room.add("a1", "a");
  assert.is(room.isSilent("a1"), true);
  assert.equal(entered, []);
  assert.equal(room.outside(), ["a1"]);
  room.spoke("a1");
  room.spoke("a1");
  assert.is(room.isSilent("a1"), false);
  assert.equal(entered, ["a1"]);
  assert.equal(room.outside(), []);
});

test("lose the oldest of the address that has most of them when there are too many", () => {
  const { come, evicted, entered, room } = open({ most: 4 });
  come("b1", "a1", "a2", "a3", "c1");
  assert.equal(evicted, ["a1"]);
  assert.equal(entered, ["b1", "a1", "a2", "a3"]);
  room.leave("a2");
  assert.equal(entered, ["b1", "a1", "a2", "a3", "c1"]);
});

test("of one address are all admitted in the end, however many there are", () => {
  const { room, come, entered, evicted } = open({ perAddress: 10, inside: 20, most: 10_000 });
  const names = Array.from({ length: 5_000 }, (_, number) => `a${number}`);
  come(...names);
  for (const name of names) room.leave(name);
  assert.equal(entered, names);
  assert.equal(evicted, []);
});

test("never exceed the limits, whatever happens", () => {
  const random = seeded(11);
  const inside = new Map<string, number>();
  const present = new Set<string>();
  const here: string[] = [];
  const room = createWaitingRoom<string>({
    perAddress: 3,
    inside: 7,
    most: 30,
    evict: (name) => void here.splice(here.indexOf(name), 1),
    delayed() {},
    enter: (name) => void present.add(name),
  });
  for (let round = 0; round < 5_000; round++) {
    if (random.below(3) > 0) {
      const name = `${"abcdef"[random.below(6)]}${round}`;
      here.push(name);
      room.add(name, name.slice(0, 1));
      if (random.below(4) > 0) room.spoke(name);
    } else {
      const [gone] = here.splice(random.below(Math.max(1, here.length)), 1);
      if (gone !== undefined) room.leave(gone);
    }
    inside.clear();
    for (const name of here.filter((one) => present.has(one))) {
      inside.set(name.slice(0, 1), (inside.get(name.slice(0, 1)) ?? 0) + 1);
    }
    const counts = [...inside.values()];
    assert.ok(counts.every((count) => count <= 3) && counts.reduce((sum, count) => sum + count, 0) <= 7);
    assert.ok(here.length <= 30);
  }
});

for (const [address, key] of [
  ["192.0.2.7", "192.0.2.7"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["2001:db8:1:2::6", "2001:db8:1:2"],
  ["2001:db8::6", "2001:db8:0:0"],
  ["fe80::1%eth0", "fe80:0:0:0"],
  ["::1", "0:0:0:0"],
  [undefined, ""],
] as const) {
  test(`of ${address ?? "nobody"} count as those of "${key}"`, () => {
    assert.is(addressKey(address), key);
  });
}

test.run();
