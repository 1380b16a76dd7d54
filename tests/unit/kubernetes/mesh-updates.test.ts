import * as assert from "uvu/assert";
import { createMeshUpdates } from "../../../src/kubernetes/controllers/mesh-updates.js";
import { createFakeTime } from "../../support/fake-time.js";
import { suite } from "../../support/suite.js";

const test = suite("updates of all pods of a mesh");

function stage(pods: number) {
  const time = createFakeTime();
  const size = { pods };
  const updated: string[] = [];
  const updates = createMeshUpdates({
    pods: () => size.pods,
    update: (mesh) => updated.push(`${mesh} ${time.timers.now()}`),
    timers: time.timers,
  });
  return { time, size, updated, updates };
}

test("a single change is announced after 100 ms, however large the mesh is", () => {
  const { time, updated, updates } = stage(5_000);
  updates.request("m");
  updates.request("m");
  time.pass(99);
  assert.equal(updated, []);
  time.pass(100_000);
  assert.equal(updated, ["m 100"]);
});

test("after an update the mesh rests in proportion to its pods, 30 s at most; other meshes do not wait", () => {
  const { time, size, updated, updates } = stage(200);
  updates.request("m");
  time.pass(100);
  updates.request("m");
  updates.request("n");
  time.pass(100);
  assert.equal(updated, ["m 100", "n 200"]);
  time.pass(10_000);
  assert.equal(updated, ["m 100", "n 200", "m 5100"]);
  size.pods = 100_000;
  updates.request("m");
  time.pass(60_000);
  assert.is(updated.at(-1), "m 35100");
});

test("while pods start one by one, each with a new service, a pod is updated three times at most on average", () => {
  const { time, size, updates } = stage(0);
  let writes = 0;
  const counting = createMeshUpdates({
    pods: () => size.pods,
    update: () => {
      writes += size.pods;
    },
    timers: time.timers,
  });
  for (let pod = 1; pod <= 400; pod++) {
    size.pods = pod;
    counting.request("m");
    time.pass(30);
  }
  time.pass(60_000);
  assert.ok(writes / 400 <= 3, `${writes} writes`);
  updates.close();
});

test("closing leaves no timer", () => {
  const { time, updates } = stage(1);
  updates.request("m");
  updates.close();
  assert.is(time.waiting, 0);
});

test.run();
