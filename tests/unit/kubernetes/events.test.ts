import * as assert from "uvu/assert";
import type { KubeObject } from "../../../src/kubeapi/object.js";
import { createEventRecorder, eventLimits, type KubeEvent } from "../../../src/kubernetes/controllers/events.js";
import { createLogger } from "../../../src/lib/logger.js";
import { eventually } from "../../support/eventually.js";
import { suite } from "../../support/suite.js";

const test = suite("events of pods and custom resources");

const event = (name: string, note = "it is so"): KubeEvent => ({
  regarding: { apiVersion: "v1", kind: "Pod", namespace: "demo", name, uid: `uid-${name}` },
  type: "Warning",
  reason: "FailedToGenerateKumaDataplane",
  action: "GenerateDataplane",
  note,
});

/** A recorder, the events that it has written, and its clock. */
function stage(fails = false) {
  const written: unknown[] = [];
  let time = Date.parse("2026-01-01T00:00:00Z");
  const recorder = createEventRecorder({
    client: {
      async create(_collection, object): Promise<KubeObject> {
        written.push(object);
        if (fails) throw new Error("forbidden");
        return object as KubeObject;
      },
    },
    instance: "kuma-cp-1",
    logger: createLogger({ name: "test", level: "off" }),
    now: () => time,
  });
  return { recorder, written, pass: (ms: number) => (time += ms) };
}

test("the same event of the same object is written once in ten minutes", async () => {
  const { recorder, written, pass } = stage();
  recorder.record(event("a"));
  recorder.record(event("a"));
  recorder.record(event("a", "it is otherwise"));
  recorder.record(event("b"));
  await eventually("three are written", async () => written.length === 3);
  pass(eventLimits.repeatMs);
  recorder.record(event("a"));
  await eventually("it is written again", async () => written.length === 4);
  recorder.close();
});

test("an event that can't be written is dropped, and those behind it are written", async () => {
  const { recorder, written } = stage(true);
  recorder.record(event("a"));
  recorder.record(event("b"));
  await eventually("both were attempted", async () => written.length === 2);
  recorder.close();
});

test("nothing of a flood is written once the control plane has closed", async () => {
  const { recorder, written } = stage();
  for (let index = 0; index < 3 * eventLimits.waiting; index++) recorder.record(event(`p${index}`));
  recorder.close();
  recorder.record(event("late"));
  // What was being written when it closed may still end.
  assert.ok(written.length <= 1);
});

test("long notes are cut to what Kubernetes takes", async () => {
  const { recorder, written } = stage();
  recorder.record(event("a", "x".repeat(5_000)));
  const [one] = await eventually("it is written", async () => written.length === 1 && written);
  assert.is((one as { note: string }).note.length, eventLimits.noteCharacters);
  recorder.close();
});

test.run();
