import * as assert from "uvu/assert";
import { KubeError } from "../../../src/kubeapi/error.js";
import { kubeLimits } from "../../../src/kubeapi/limits.js";
import { eventsOf, type WatchEvent } from "../../../src/kubeapi/watch.js";
import { suite } from "../../support/suite.js";

const test = suite("the events of a watch");

const pod = (name: string, resourceVersion: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, resourceVersion },
});
const line = (type: string, object: unknown) => `${JSON.stringify({ type, object })}\n`;

async function* chunksOf(text: string, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text);
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

async function read(text: string, size = 7): Promise<{ events: WatchEvent[]; error: KubeError | undefined }> {
  const events: WatchEvent[] = [];
  try {
    for await (const event of eventsOf(chunksOf(text, size), "watch of pods")) events.push(event);
  } catch (error) {
    if (error instanceof KubeError) return { events, error };
    throw error;
  }
  return { events, error: undefined };
}

test("are read whatever their chunks are, also where a character is cut in two", async () => {
  const text = line("ADDED", pod("grün-🌱", "1")) + line("MODIFIED", pod("b", "2")) + line("DELETED", pod("b", "3"));
  for (const size of [1, 2, 3, 5, 64, 10_000]) {
    const { events, error } = await read(text, size);
    assert.is(error, undefined);
    assert.equal(
      events.map((event) => (event.type === "BOOKMARK" ? event.type : [event.type, event.object.metadata.name])),
      [
        ["ADDED", "grün-🌱"],
        ["MODIFIED", "b"],
        ["DELETED", "b"],
      ],
    );
  }
});

test("include bookmarks, of which only the version is known", async () => {
  const { events } = await read(line("BOOKMARK", { kind: "Pod", metadata: { resourceVersion: "77" } }));
  assert.equal(events, [{ type: "BOOKMARK", resourceVersion: "77" }]);
});

test("end with the status of an ERROR event", async () => {
  const gone = { kind: "Status", code: 410, reason: "Expired", message: "too old resource version: 1 (9)" };
  const { events, error } = await read(
    line("ADDED", pod("a", "1")) + line("ERROR", gone) + line("ADDED", pod("b", "2")),
  );
  assert.is(events.length, 1);
  assert.equal([error?.status, error?.reason], [410, "Expired"]);
  assert.match(error?.message ?? "", /^watch of pods: too old resource version/);
});

test("that no API server sends end the watch, since what follows could hide a gap", async () => {
  const odd = ["nonsense\n", '{"type":"ADDED"}\n', line("ADDED", { metadata: {} }), line("X", pod("a", "1")), "[]\n"];
  for (const bad of odd) {
    const { events, error } = await read(bad + line("ADDED", pod("b", "2")));
    assert.equal([events.length, error?.status], [0, 0], bad);
    assert.match(error?.message ?? "", /the event is malformed/);
  }
});

test("are bounded in size", async () => {
  const { error } = await read(`{"type":"ADDED","object":"${"x".repeat(kubeLimits.eventBytes)}`, 1_000_000);
  assert.match(error?.message ?? "", /larger than 8388608 bytes/);
});

test("that the server cuts in the middle are not taken", async () => {
  const { events, error } = await read(`${line("ADDED", pod("a", "1"))}{"type":"ADDED","obj`);
  assert.equal([events.length, error], [1, undefined]);
});

test.run();
